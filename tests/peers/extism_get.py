"""Makes authenticated requests through an Extism plug-in; says how long each took.

Arguments: the plug-in's file, a URL, a token. A line `warm 100` or `fresh 100` on standard input asks for so many requests, by
one instance or by a fresh one each; a line with nanoseconds answers, the median.
"""

import json
import statistics
import sys
import time

import extism
from extism.extism import CompiledPlugin

file, url, token = sys.argv[1:]
with open(file, "rb") as plugin:
    manifest = {"wasm": [{"data": plugin.read()}], "allowed_hosts": ["127.0.0.1"]}
request = json.dumps({"url": url, "method": "GET", "headers": {"authorization": f"Bearer {token}"}})
compiled = CompiledPlugin(manifest)
kept = extism.Plugin(compiled)


def timed(plugin_of):
    began = time.perf_counter_ns()
    answer = plugin_of().call("get", request)
    took = time.perf_counter_ns() - began
    assert json.loads(answer)["login"] == "ada", answer
    return took


for line in sys.stdin:
    word, times = line.split()
    plugin_of = {"warm": lambda: kept, "fresh": lambda: extism.Plugin(compiled)}[word]
    print(int(statistics.median(timed(plugin_of) for _ in range(int(times)))), flush=True)
