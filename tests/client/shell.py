# SPDX-License-Identifier: Apache-2.0
"""The client commands from a shell: run, runs, logs, models, endpoints, lineage; their exit codes,
what goes to standard output and what to standard error; completions and the man page."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import BIN, Server, free_port

tmp = tempfile.mkdtemp(prefix="quern-shell-")

DEFINITION = """\
name: shell
track: false
files: [scripts/*.py]
params:
  word: hello
  rate: 0.5
  bar: 0.4
  pause: 0.0
steps:
  say:
    run: [python3, scripts/say.py, "${params.word}", "${params.pause}", "${outputs.said}"]
    outputs: {said: said.txt}
  each:
    foreach: [a, b]
    needs: say
    run: [python3, scripts/each.py, "${item}", "${params.word}"]
  judge:
    needs: each
    run: [python3, scripts/judge.py, "${params.rate}", "${outputs.metrics}"]
    outputs: {metrics: {path: m.json, kind: metrics}}
  bar:
    from: judge
    gate: ["score >= ${params.bar}"]
"""
SCRIPTS = {
    "say.py": "import sys, time\n"
              "print('word', sys.argv[1], flush=True)\n"
              "print('to stderr', file=sys.stderr, flush=True)\n"
              "time.sleep(float(sys.argv[2]))\n"
              "open(sys.argv[3], 'w').write(sys.argv[1])\n",
    "each.py": "import sys\nprint('item', sys.argv[1])\n",
    "judge.py": "import json, sys\njson.dump({'score': float(sys.argv[1])}, open(sys.argv[2], 'w'))\n",
}


def quern(*args, url=None, env=None, code=0, timeout=120):
    full = {**os.environ, **(env or {})}
    if url:
        full["QUERN_URL"] = url
    r = subprocess.run([BIN, *args], capture_output=True, text=True, timeout=timeout, env=full, cwd=tmp)
    assert r.returncode == code, \
        f"{args}: exit {r.returncode}, wanted {code}\nstdout {r.stdout}\nstderr {r.stderr}"
    return r


def write(name, text):
    path = os.path.join(tmp, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    return path


def runs_tell_how_they_went(s):
    r = quern("run", "p.yaml", "--wait", url=s.url)
    run_id = r.stdout.strip()
    assert run_id and "\n" not in run_id, r.stdout  # data alone on standard output
    assert "succeeded" in r.stderr and "each[0]" in r.stderr, r.stderr
    r = quern("run", "p.yaml", "--wait", "--json", "--param", "word=again $(id) 'x'", url=s.url)
    run = json.loads(r.stdout)
    assert run["state"] == "succeeded" and run["params"]["word"] == "again $(id) 'x'", run
    r = quern("run", "p.yaml", "--wait", "--param", "rate=0.1", url=s.url, code=3)
    assert "bar" in r.stderr and "score" in r.stderr, r.stderr
    write("scripts/say.py", "import sys\nprint('no')\nsys.exit(9)\n")
    r = quern("run", "p.yaml", "--wait", url=s.url, code=1)
    assert "9" in r.stderr, r.stderr
    write("scripts/say.py", SCRIPTS["say.py"])
    r = quern("run", "p.yaml", url=s.url)  # without --wait: at once
    quern("run", "p.yaml", "--param", "nonsense", url=s.url, code=2)
    r = quern("run", "p.yaml", "--param", "nosuch=1", url=s.url, code=1)
    assert "nosuch" in r.stderr, r.stderr
    r = quern("run", write("bad.yaml", "name: bad\nsteps:\n  a:\n    rum: [x]\n"), url=s.url, code=1)
    assert "rum" in r.stderr and "4" in r.stderr, r.stderr
    quern("run", "none.yaml", url=s.url, code=1)
    return run_id


def following_shows_output(s):
    r = quern("run", "p.yaml", "--follow", "--param", "word=followed", url=s.url)
    assert "say | word followed" in r.stdout and "say | to stderr" in r.stdout, r.stdout
    assert "each[1] | item b" in r.stdout, r.stdout


def waiting_ends(s):
    start = time.monotonic()
    r = quern("run", "p.yaml", "--wait", "--timeout", "500ms", "--param", "pause=30",
              "--param", "word=slow1", url=s.url, code=124)
    assert time.monotonic() - start < 10
    run_id = r.stdout.strip()
    p = subprocess.Popen([BIN, "logs", run_id, "--follow"], stdout=subprocess.PIPE, text=True,
                         stderr=subprocess.PIPE, env={**os.environ, "QUERN_URL": s.url})
    first = p.stdout.readline()
    assert "word slow1" in first, first
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=20)
    assert p.returncode == 130, (p.returncode, out, err)
    assert run_id in err, err
    a = s.post(f"/api/v1/pipeline-runs/{run_id}/cancel")
    assert a.status < 300, a
    end = time.monotonic() + 30
    while s.get(f"/api/v1/pipeline-runs/{run_id}").json["state"] != "cancelled":
        assert time.monotonic() < end, s.get(f"/api/v1/pipeline-runs/{run_id}")
        time.sleep(0.1)


def lists_are_aligned(s, run_id):
    r = quern("runs", url=s.url)
    lines = r.stdout.splitlines()
    assert lines[0].split() == ["RUN", "PIPELINE", "STATE", "STARTED", "TOOK", "BY", "REASON"], lines[0]
    at = lines[0].index("PIPELINE")
    assert all(line[at:].startswith("shell ") and line[at - 1] == " " for line in lines[1:]), r.stdout
    assert run_id in r.stdout
    assert len(json.loads(quern("runs", "--json", "--limit", "2", url=s.url).stdout)["runs"]) == 2
    r = quern("runs", "--state", "failed", url=s.url)
    assert run_id not in r.stdout and "failed" in r.stdout, r.stdout
    r = quern("runs", run_id, url=s.url)
    assert "each[1]" in r.stdout and "judge" in r.stdout, r.stdout
    r = quern("logs", run_id, "say", url=s.url)
    assert r.stdout == "word hello\nto stderr\n" or r.stdout == "to stderr\nword hello\n", r.stdout
    r = quern("logs", run_id, "each", url=s.url)
    assert r.stdout == "each[0] | item a\neach[1] | item b\n", r.stdout
    again = quern("run", "p.yaml", "--wait", url=s.url).stdout.strip()
    r = quern("logs", again, "say", url=s.url)
    assert "word hello" in r.stdout and run_id in r.stderr, r
    r = quern("logs", run_id, "each[1]", url=s.url)
    assert r.stdout == "item b\n", r.stdout
    quern("logs", run_id, "nosuch", url=s.url, code=4)
    quern("logs", "nosuchrun", url=s.url, code=4)
    quern("runs", "nosuchrun", url=s.url, code=4)


def models_and_endpoints(s):
    r = quern("models", url=s.url)
    assert r.stdout == "" and "No models" in r.stderr, r
    for name in ("wine", "a\x1b[31mred"):
        s.mlflow("registered-models/create", {"name": name, "description": "über\tall"})
    r = quern("models", url=s.url)
    assert "wine" in r.stdout and "\x1b" not in r.stdout, r.stdout
    names = {m["name"] for m in json.loads(quern("models", "--json", url=s.url).stdout)["registered_models"]}
    assert "wine" in names, names
    r = quern("endpoints", url=s.url)
    assert r.stdout == "" and "no endpoints" in r.stderr, r
    quern("endpoints", "nosuch", url=s.url, code=4)


def lineage_is_a_tree(s, run_id):
    node = f"pipeline_run:{run_id}"
    r = quern("lineage", node, url=s.url)
    assert r.stdout.startswith("upstream") and node in r.stdout and "downstream" in r.stdout, r.stdout
    r = quern("lineage", node, "--down", "--dot", url=s.url)
    assert r.stdout.lstrip().startswith("digraph"), r.stdout
    assert "nodes" in json.loads(quern("lineage", node, "--json", "--depth", "1", url=s.url).stdout)
    quern("lineage", node, "--depth", "many", url=s.url, code=2)
    quern("lineage", "endpoint:nosuch", url=s.url, code=4)
    quern("lineage", "nonsense", url=s.url, code=1)


def nobody_home():
    r = quern("runs", url=f"http://127.0.0.1:{free_port()}", code=7)
    assert "quern serve" in r.stderr, r.stderr
    quern("runs", url="file:///etc/passwd", code=7)


def token_from_a_file():
    data = os.path.join(tmp, "data")
    token = quern("token", "create", "alice", "--data", data).stdout.strip()
    path = write("token", token + "\n")
    with Server(data=data) as s:
        quern("runs", url=s.url, code=6)
        quern("runs", url=s.url, env={"QUERN_TOKEN_FILE": path})
        quern("runs", url=s.url, env={"QUERN_TOKEN": token})


def pages_are_well_formed():
    for shell, check in (("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "-n"])):
        text = quern("completion", shell).stdout
        assert "lineage" in text and "--depth" in text or "-l depth" in text, text[:500]
        if shutil.which(shell):
            subprocess.run([*check, write("completion", text)], check=True)
    quern("completion", "tcsh", code=2)
    script = write("try.sh", quern("completion", "bash").stdout + """
t() { COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _quern; echo "${COMPREPLY[*]}"; }
t quern lin
t quern lineage --de
t quern completion f
t quern run --par
""")
    r = subprocess.run(["bash", script], capture_output=True, text=True, check=True)
    assert r.stdout.split("\n")[:4] == ["lineage", "--depth", "fish", "--param"], r.stdout
    page = quern("man").stdout
    for word in ("QUERN_TOKEN", "\\-\\-depth", "EXIT STATUS", "db.queue"):
        assert word in page, word
    if shutil.which("mandoc"):
        r = subprocess.run(["mandoc", "-Tlint", "-W", "error"], input=page, capture_output=True, text=True)
        assert r.returncode == 0, r.stdout


write("p.yaml", DEFINITION)
for name, text in SCRIPTS.items():
    write("scripts/" + name, text)
pages_are_well_formed()
nobody_home()
with Server(args=["--pipeline-parallel", "4"]) as server:
    run = runs_tell_how_they_went(server)
    following_shows_output(server)
    waiting_ends(server)
    lists_are_aligned(server, run)
    models_and_endpoints(server)
    lineage_is_a_tree(server, run)
token_from_a_file()
shutil.rmtree(tmp)
print("ok")
