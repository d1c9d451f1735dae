"""Tables against Python's csv module, for as many seconds as the first argument says.

Made-up tables are written in made-up ways (which cells are quoted, what ends a line, comma or tab, the encoding,
packed or not). First csv has to read the table from that text, then spec/fuzz/cells.lua has to; and csv reads what
the rewriter wrote. Where the two readers differ on purpose, no such text is made:

* csv ends a record at a carriage return by itself; for rows it is part of its cell. Such a cell is quoted.
* csv takes `a"b` for a cell with a quote in it, as rows does, and `"a"b` for `ab`; rows refuses it.
* csv is told what separates cells; rows counts commas and tabs in the header, outside quotes. Header cells that
  hold the other one are quoted, and so is a table of one column separated by tabs read as one of commas.
* csv gives an empty list for an empty line; rows leaves it out, or gives an empty cell where there is one column.
  An empty cell that stands alone is quoted.
* What is said to be UTF-16 is UTF-8 for rows where it has no mark and, at its beginning, no NUL byte, that is no ASCII.
"""
import codecs
import csv
import gzip
import io
import os
import random
import struct
import subprocess
import sys
import time

csv.field_size_limit(1 << 24)

PIECES = ['"', '""', ",", "\t", "\n", "\r\n", "\r", " ", "'", ";", "a", "Æ", "\u4e2d", "\U0001f600", "\\", "=1+1", "0",
          "\ufeff", "\x85", "\u2028", "\x0b", "\x1c", "null", "x" * 17, "y" * 300]

# Bytes at the beginning of a text that show rows its encoding (LINE_SIZE in src/data/decoder.c).
LOOKED_AT = 4096


def frame(stream, data):
    stream.write(struct.pack("<I", len(data)) + data)


def unframe(stream):
    head = stream.read(4)
    if len(head) < 4:
        sys.exit("the reader has ended")
    return stream.read(struct.unpack("<I", head)[0])


def cell_of(dice):
    shape = dice.random()
    if shape < 0.15:
        return ""
    if shape < 0.5:
        return str(dice.randrange(10 ** dice.randrange(1, 12)))
    return "".join(dice.choice(PIECES) for _ in range(dice.randrange(1, 7)))


def table_of(dice):
    width = dice.choice([1, 1, 2, 3, 5, 40])
    names = []
    while len(names) < width:
        name = cell_of(dice)
        if name not in names:
            names.append(name)
    return [names] + [[cell_of(dice) for _ in range(width)] for _ in range(dice.choice([0, 1, 2, 10, 100]))]


def written(dice, table, delimiter, newline):
    """The table as text, quoted where that is needed, and elsewhere as the dice fall."""
    eager = dice.choice([0, 0.1, 0.5, 1])
    lines = []
    for number, record in enumerate(table):
        cells = []
        for cell in record:
            needed = any(c in cell for c in '"\r\n' + delimiter) or (number == 0 and any(c in cell for c in ",\t"))
            needed = needed or cell == "" and len(record) == 1 or cell.startswith("\ufeff")  # no empty line, no mark
            cells.append('"' + cell.replace('"', '""') + '"' if needed or dice.random() < eager else cell)
        lines.append(delimiter.join(cells))
    return newline.join(lines) + (newline if dice.random() < 0.8 else "")


def coded(dice, text):
    """The bytes of the text, and the charset that an answer would name."""
    codec, mark, charset = dice.choice([
        ("utf-8", b"", b"utf-8"), ("utf-8", codecs.BOM_UTF8, b""), ("utf-16-le", b"", b"utf-16le"),
        ("utf-16-be", b"", b"utf-16be"), ("utf-16-le", codecs.BOM_UTF16_LE, b""), ("utf-16-be", codecs.BOM_UTF16_BE, b"utf-16")])
    data = mark + text.encode(codec)
    if codec != "utf-8" and not mark and b"\0" not in data[:LOOKED_AT]:
        data, charset = text.encode("utf-8"), b"utf-8"
    return (gzip.compress(data, 1) if dice.random() < 0.3 else data), charset


def read(text, delimiter):
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def cells_of(data):
    """What cells.lua says: the number of records, of cells in each, and the cells."""
    stream = io.BytesIO(data)
    count, = struct.unpack("<I", stream.read(4))
    table = []
    for _ in range(count):
        width, = struct.unpack("<I", stream.read(4))
        table.append([unframe(stream).decode("utf-8") for _ in range(width)])
    return table


def main():
    seconds, seed = float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    lua = subprocess.Popen(["build/fuzz/replay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           env=dict(os.environ, FUZZ_TARGET="cells"))
    end, number, cells = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        dice = random.Random(seed + number)
        table, delimiter = table_of(dice), dice.choice([",", "\t"])
        if len(table[0]) == 1:
            delimiter = ","
        text = written(dice, table, delimiter, dice.choice(["\n", "\r\n"]))
        expected = read(text, delimiter)
        if expected != table:
            sys.exit(f"csv reads seed {seed + number} differently")
        data, charset = coded(dice, text)
        frame(lua.stdin, charset)
        frame(lua.stdin, struct.pack("<I", dice.choice([1, 7, 64, 1 << 18])))
        frame(lua.stdin, data)
        lua.stdin.flush()
        fault, rows, records, export = (unframe(lua.stdout) for _ in range(4))
        if fault:
            sys.exit(f"seed {seed + number}: {fault.decode('utf-8', 'replace')}")
        found = cells_of(rows)
        if found != table:
            sys.exit(f"seed {seed + number}: rows differ: {repr(found)[:400]} and {repr(table)[:400]}")
        if int(records) != len(table) - 1:
            sys.exit(f"seed {seed + number}: {int(records)} records are counted, of {len(table) - 1}")
        if read(export.decode("utf-8"), ",") != table:
            sys.exit(f"seed {seed + number}: what was written is another table: {export[:400]!r}")
        number, cells = number + 1, cells + sum(len(record) for record in table)
    lua.stdin.close()
    print(f"tables   {number:8} tables, {cells} cells, all as Python's csv has them (seed {seed})")
    return lua.wait()


sys.exit(main())
