// The bench's works in Go, by its standard library alone. The same arguments and the same line as ours.lua.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func need(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	need(err)
	return n
}

func cpu() time.Duration {
	var use syscall.Rusage
	need(syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

var cpuBegan time.Duration
var wallBegan time.Time

func begin() {
	cpuBegan, wallBegan = cpu(), time.Now()
}

func end(count int, check int64) {
	fmt.Printf("cpu=%.6f wall=%.6f count=%d check=%d\n", (cpu() - cpuBegan).Seconds(),
		time.Since(wallBegan).Seconds(), count, check)
}

func newClient(ca string, connections int) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, ForceAttemptHTTP2: true}
	if ca != "-" {
		text, err := os.ReadFile(ca)
		need(err)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(text)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &http.Client{Transport: transport}
}

func get(client *http.Client, url string) *http.Response {
	request, err := http.NewRequest("GET", url, nil)
	need(err)
	request.Header.Set("Authorization", "Bearer t")
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	need(err)
	if response.StatusCode != 200 {
		need(fmt.Errorf("status %d", response.StatusCode))
	}
	return response
}

type job struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Batches []map[string]interface{}
}

// Into a struct for what is known, and a map for what Zuora may add.
func getJob(client *http.Client, base string, i int) int64 {
	response := get(client, base+"/v1/batch-query/jobs/j"+strconv.Itoa(i))
	body, err := io.ReadAll(response.Body)
	need(err)
	response.Body.Close()
	var j job
	need(json.Unmarshal(body, &j))
	if j.Status != "completed" {
		need(fmt.Errorf("status %s", j.Status))
	}
	return int64(j.Batches[0]["recordCount"].(float64))
}

func one(base string, count, warm int, ca string) {
	client := newClient(ca, 1)
	for i := 0; i < warm; i++ {
		getJob(client, base, 1)
	}
	var sum int64
	begin()
	for i := 1; i <= count; i++ {
		sum += getJob(client, base, i)
	}
	end(count, sum)
}

func all(client *http.Client, base string, count, inFlight int) int64 {
	numbers := make(chan int, inFlight)
	sums := make(chan int64, inFlight)
	for w := 0; w < inFlight; w++ {
		go func() {
			var sum int64
			for i := range numbers {
				sum += getJob(client, base, i)
			}
			sums <- sum
		}()
	}
	for i := 1; i <= count; i++ {
		numbers <- i
	}
	close(numbers)
	var sum int64
	for w := 0; w < inFlight; w++ {
		sum += <-sums
	}
	return sum
}

func many(base string, count, inFlight int, ca string, times int) {
	client := newClient(ca, inFlight)
	all(client, base, 2*inFlight, inFlight)
	var sum int64
	begin()
	for i := 0; i < times; i++ {
		sum += all(client, base, count, inFlight)
	}
	end(count*times, sum)
}

// Its transport asks for gzip, and unpacks it, by itself; without a coding it copies straight.
func files(base, ca, encoding string, connections int, directory string, names []string) {
	begin()
	client := newClient(ca, connections)
	client.Transport.(*http.Transport).DisableCompression = encoding == "-"
	var group sync.WaitGroup
	sizes := make([]int64, len(names))
	for i, name := range names {
		group.Add(1)
		go func(i int, name string) {
			defer group.Done()
			response := get(client, base+"/v1/files/"+name)
			file, err := os.Create(filepath.Join(directory, name))
			need(err)
			sizes[i], err = io.Copy(file, response.Body)
			need(err)
			need(file.Close())
			response.Body.Close()
		}(i, name)
	}
	group.Wait()
	var bytes int64
	for _, size := range sizes {
		bytes += size
	}
	end(len(names), bytes)
}

// The columns that loops.lua looks at.
func rows(path, how string) {
	begin()
	file, err := os.Open(path)
	need(err)
	reader := csv.NewReader(bufio.NewReaderSize(file, 262144))
	header, err := reader.Read()
	need(err)
	reader.ReuseRecord = how != "array"
	count, sum := 0, int64(0)
	for {
		record, err := reader.Read()
		if err == io.EOF {
			break
		}
		need(err)
		count++
		switch how {
		case "keyed":
			row := make(map[string]string, len(header))
			for i, name := range header {
				row[name] = record[i]
			}
			sum += int64(len(row["Description"]))
		case "lazy3":
			sum += int64(len(record[11]) + len(record[5]) + len(record[10]))
		default:
			sum += int64(len(record[10]))
		}
	}
	end(count, sum)
}

func page(base, ca string) {
	client := newClient(ca, 1)
	getJob(client, base, 1)
	begin()
	response := get(client, base+"/reporting/api/rest/v1/reportruns/reportdata/run?offset=1&pageSize=1000000")
	body, err := io.ReadAll(response.Body)
	need(err)
	var data struct {
		Response struct{ Page []map[string]interface{} }
	}
	need(json.Unmarshal(body, &data))
	var sum int64
	for _, row := range data.Response.Page {
		sum += int64(len(row["Description"].(string)))
	}
	end(len(data.Response.Page), sum)
}

func main() {
	a := os.Args
	switch a[1] {
	case "first":
		getJob(newClient("-", 1), a[2], 1)
	case "one":
		one(a[2], number(a[3]), number(a[4]), a[5])
	case "many":
		many(a[2], number(a[3]), number(a[4]), a[5], number(a[6]))
	case "files":
		files(a[2], a[3], a[4], number(a[5]), a[6], a[7:])
	case "rows":
		rows(a[2], a[4])
	case "page":
		page(a[2], a[3])
	default:
		os.Exit(2)
	}
}
