# SPDX-License-Identifier: Apache-2.0
#
# Reads Parquet files with pyarrow and with DuckDB and prints, as one JSON object by reader, file, column and row, what they say in the
# words of random_test.go. It also asks DuckDB for rows by value, for which DuckDB uses statistics and bloom filters, and compares
# the answers with its own count.

import datetime
import decimal
import json
import math
import struct
import sys
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

EPOCH = datetime.date(1970, 1, 1)
TICKS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
decimal.getcontext().prec = 100


def whole(d):
    sign, digits, _ = d.as_tuple()
    n = int("".join(map(str, digits)))
    return str(-n if sign else n)


def word(v):
    """Puts one value into words; timestamps are dealt with by column."""
    if v is None:
        return "null"
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    if isinstance(v, float):
        return "nan" if math.isnan(v) else struct.pack(">d", v).hex()
    if isinstance(v, str):
        return v.encode().hex()
    if isinstance(v, uuid.UUID):
        return str(v)
    if isinstance(v, decimal.Decimal):
        return whole(v)
    if isinstance(v, datetime.date):
        return str((v - EPOCH).days)
    if isinstance(v, list):
        return "[" + ",".join(map(word, v)) + "]"
    raise TypeError(type(v))


def arrow_words(a):
    if isinstance(a, pa.ExtensionArray):
        if a.type.extension_name == "arrow.uuid":
            return [word(None if v is None else uuid.UUID(bytes=v)) for v in a.storage.to_pylist()]
        a = a.storage
    t = a.type
    if pa.types.is_list(t):
        flat = arrow_words(a.values)
        ends = a.offsets.to_pylist()
        return ["[" + ",".join(flat[i:j]) + "]" for i, j in zip(ends, ends[1:])]
    if pa.types.is_timestamp(t):
        factor = TICKS[t.unit]
        return ["null" if v is None else str(v * factor) for v in a.cast(pa.int64()).to_pylist()]
    return [word(v) for v in a.to_pylist()]


def read_arrow(path):
    table = pq.read_table(path, page_checksum_verification=True).combine_chunks()
    out = []
    for column in table.columns:
        words = []
        for chunk in column.chunks:
            words += arrow_words(chunk)
        out.append(words)
    return out


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def read_duckdb(path):
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    columns = con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
    out = []
    for name, kind, *_ in columns:
        at = quote(name)
        if kind.startswith("TIMESTAMP"):
            if kind.endswith("[]"):
                at = f"list_transform({at}, lambda x: epoch_ns(x))"
            else:
                at = f"epoch_ns({at})"
        rows = con.execute(f"SELECT {at} FROM read_parquet(?)", [path]).fetchall()
        words = [word(v) for (v,) in rows]
        out.append(words)
        if kind.endswith("[]") or not rows:
            continue
        # By value: the one in the middle, and what is above it.
        middle = len(rows) // 2
        v = rows[middle][0]
        if v is None or isinstance(v, float) and math.isnan(v):
            continue
        want = sum(1 for (x,) in rows if x == v)
        (got,) = con.execute(
            f"SELECT count(*) FROM read_parquet(?) WHERE {quote(name)} = (SELECT {quote(name)} FROM read_parquet(?) LIMIT 1 OFFSET {middle})",
            [path, path]).fetchone()
        if got != want:
            sys.exit(f"DuckDB finds {got} rows where {name} is {v!r}, and there are {want}")
        if isinstance(v, (str, int, float)) and not isinstance(v, bool) and kind != "JSON" and at == quote(name):
            (got,) = con.execute(f"SELECT count(*) FROM read_parquet(?) WHERE {quote(name)} = ?::{kind}", [path, v]).fetchone()
            if got != want:
                sys.exit(f"DuckDB finds {got} rows where {name} is the constant {v!r}, and there are {want}")
            above = sum(1 for (x,) in rows if x is not None and (x > v or isinstance(x, float) and math.isnan(x)))
            (got,) = con.execute(f"SELECT count(*) FROM read_parquet(?) WHERE {quote(name)} > ?::{kind}", [path, v]).fetchone()
            if got != above:
                sys.exit(f"DuckDB finds {got} rows where {name} is above {v!r}, and there are {above}")
    return out


json.dump({
    "pyarrow": [read_arrow(path) for path in sys.argv[1:]],
    "duckdb": [read_duckdb(path) for path in sys.argv[1:]],
}, sys.stdout)
