/*
 * Runs a target on the files that are named: for compilers without libFuzzer, and for counting lines.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    perror(path);
    exit(2);
  }
  size_t size = (size_t)ftell(file);
  rewind(file);
  uint8_t *data = malloc(size + 1);
  if (data == NULL || fread(data, 1, size, file) != size) {
    perror(path);
    exit(2);
  }
  (void)fclose(file);
  (void)LLVMFuzzerTestOneInput(data, size);
  free(data);
}

int main(int count, char **arguments) {
  (void)LLVMFuzzerInitialize(&count, &arguments);
  for (int i = 1; i < count; i++) {
    if (getenv("FUZZ_VERBOSE") != NULL) fprintf(stderr, "%s\n", arguments[i]);
    replay(arguments[i]);
  }
  printf("%d inputs\n", count - 1);
  return 0;
}
