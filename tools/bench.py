#!/usr/bin/env python3
"""Measures cowproof's tools side by side with the real ones and writes docs/benchmarks.md.

Each row runs the real tool with its defaults, the real tool with its best flags and cowproof, one after the other, several
times, and takes medians: figures from different runs or machines must not be compared, ratios from one run may.

    cargo build --release && tools/bench.py [--rows REGEX] [--runs N] [--size MIB] [--write]
"""

import argparse
import glob
import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECRET = ["--object", "secret,id=s,data=bench"]
BEST = ["-m", "16", "-W"]
TIB = "1T"


class Bench:
    """The tools, the scratch directory and what is made in it once."""

    def __init__(self, arguments, scratch):
        self.arguments = arguments
        self.scratch = scratch
        self.bytes = arguments.size << 20
        self.links = os.path.join(scratch, "links")
        subprocess.run([arguments.ours, "link", self.links], check=True, stdout=subprocess.DEVNULL)
        self.made = set()

    def path(self, name):
        return os.path.join(self.scratch, name)

    def real(self, tool):
        return shutil.which(tool)

    def ours(self, tool):
        return os.path.join(self.links, tool)

    def setup(self, *command, tool="qemu-img"):
        subprocess.run([self.real(tool), *command], check=True, stdout=subprocess.DEVNULL)

    def once(self, name, make):
        """Makes a file the first time it is needed."""
        path = self.path(name)
        if name not in self.made:
            make(path)
            self.made.add(name)
        return path

    def random_raw(self):
        def make(path):
            with open(path, "wb") as file:
                for _ in range(self.arguments.size):
                    file.write(random.randbytes(1 << 20))

        return self.once("random.raw", make)

    def text_raw(self):
        """Data that compresses to about a third, like text."""

        def make(path):
            generator = random.Random(7)
            words = [
                bytes(generator.choices(b"etaoinshrdlucmfwypvbgkqjxz", k=generator.randint(2, 9)))
                for _ in range(4000)
            ]
            weights = [1 / (rank + 1) for rank in range(len(words))]
            with open(path, "wb") as file:
                for _ in range(self.arguments.size):
                    block = b" ".join(generator.choices(words, weights, k=180_000))
                    file.write(block[: 1 << 20].ljust(1 << 20, b"."))

        return self.once("text.raw", make)

    def encrypted(self, kind, source):
        """An image of that encryption which holds `source`."""

        def make(path):
            self.empty(kind, path)
            self.setup("convert", "-n", "-W", "-f", "raw", *SECRET, "--target-image-opts", source, opts(path))

        return self.once(f"{kind}.qcow2", make)

    def empty(self, kind, path):
        """A new image of that encryption; the slow part of making it must not be timed."""

        def make(template):
            options = {
                "luks": "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
                "aes": "encrypt.format=aes,encrypt.key-secret=s",
            }[kind]
            self.setup("create", "-q", "-f", "qcow2", *SECRET, "-o", options, template, str(self.bytes))

        shutil.copyfile(self.once(f"{kind}-empty.qcow2", make), path)

    def compressed(self, method):
        def make(path):
            source = self.text_raw()
            self.setup("convert", "-c", *BEST, "-f", "raw", "-O", "qcow2", "-o", f"compression_type={method}", source, path)

        return self.once(f"{method}.qcow2", make)

    def plain(self):
        return self.once(
            "plain.qcow2",
            lambda path: self.setup("convert", "-f", "raw", "-O", "qcow2", self.random_raw(), path),
        )

    def preallocated(self):
        return self.once(
            "tib.qcow2",
            lambda path: self.setup("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path, TIB),
        )

    def two_keys(self):
        def make(path):
            options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"
            self.setup("create", "-q", "-f", "qcow2", *SECRET, "-o", options, path, "64M")
            added = "encrypt.state=active,encrypt.new-secret=n,encrypt.iter-time=10"
            second = ["--object", "secret,id=n,data=second"]
            self.setup("amend", *SECRET, *second, "-o", added, "--image-opts", opts(path))

        return self.once("keys.qcow2", make)

    def unlocked_slowly(self):
        return self.once(
            "slow.qcow2",
            lambda path: self.setup(
                "create", "-q", "-f", "qcow2", *SECRET, "-o", "encrypt.format=luks,encrypt.key-secret=s", path, "64M"
            ),
        )


def copy_sparsely(source, target):
    """Copies data only: a preallocated image claims far more than it holds, and holes that become zeros fill any disk."""
    room = shutil.disk_usage(os.path.dirname(target)).free
    if os.stat(source).st_blocks * 512 > room // 2:
        raise RuntimeError(f"no room for a copy of {source}")
    with open(source, "rb") as reader, open(target, "wb") as writer:
        end = os.fstat(reader.fileno()).st_size
        position = 0
        while position < end:
            try:
                position = os.lseek(reader.fileno(), position, os.SEEK_DATA)
            except OSError:
                break
            hole = os.lseek(reader.fileno(), position, os.SEEK_HOLE)
            while position < hole:
                data = os.pread(reader.fileno(), min(hole - position, 1 << 20), position)
                os.pwrite(writer.fileno(), data, position)
                position += len(data)
        writer.truncate(end)


def refuse_full_disk(bench):
    """A scratch directory in memory that fills up takes the machine with it."""
    with open("/proc/meminfo", encoding="ascii") as file:
        available = next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))
    needed = 12 * bench.bytes + (2 << 30)
    room = min(available, shutil.disk_usage(bench.scratch).free)
    if room < needed:
        sys.exit(f"{room >> 20} MiB of room in {bench.scratch}, {needed >> 20} MiB are needed: choose --size or --dir")


def opts(path, driver="qcow2"):
    key = "key-secret" if driver == "luks" else "encrypt.key-secret"
    return f"driver={driver},file.filename={path},{key}=s"


class Row:
    """One task: a command line after the tool's name, with best flags where there are any."""

    def __init__(self, command, target, *, tool="qemu-img", best=None, prepare=None, verify=None, output=None, stdin=None, repeat=1):
        self.command = command
        self.target = target
        self.tool = tool
        self.best = best
        self.prepare = prepare
        self.verify = verify
        self.output = output
        self.stdin = stdin
        # How often a run starts the tool: what takes a millisecond drowns in the start of whatever measures it.
        self.repeat = repeat

    def with_best(self):
        return [self.command[0], *self.best, *self.command[1:]]


def rows(bench):
    """All rows; each is a function so that only what is asked for is made."""
    output = bench.path("out")

    def gone():
        if os.path.exists(output):
            os.remove(output)

    def into(kind, target):
        def row():
            source = bench.random_raw()
            return Row(
                ["convert", "-n", "-f", "raw", *SECRET, "--target-image-opts", source, opts(output)],
                target,
                best=BEST,
                prepare=lambda: bench.empty(kind, output),
                verify=["compare", *SECRET, "--image-opts", f"driver=raw,file.filename={source}", opts(output)],
            )

        return row

    def out_of(kind, target):
        def row():
            source = bench.random_raw()
            image = bench.encrypted(kind, source)
            return Row(
                ["convert", *SECRET, "--image-opts", "-O", "raw", opts(image), output],
                target,
                best=BEST,
                prepare=gone,
                verify=["compare", "-f", "raw", "-F", "raw", source, output],
            )

        return row

    def plain():
        source = bench.random_raw()
        return Row(
            ["convert", "-f", "raw", "-O", "qcow2", source, output],
            1.1,
            best=BEST,
            prepare=gone,
            verify=["compare", "-f", "raw", "-F", "qcow2", source, output],
        )

    def plain_back():
        source = bench.random_raw()
        return Row(
            ["convert", "-f", "qcow2", "-O", "raw", bench.plain(), output],
            None,
            best=BEST,
            prepare=gone,
            verify=["compare", "-f", "raw", "-F", "raw", source, output],
        )

    def compress(method, target):
        def row():
            source = bench.text_raw()
            options = f"compression_type={method}"
            return Row(
                ["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, source, output],
                target,
                best=BEST,
                prepare=gone,
                verify=["compare", "-f", "raw", "-F", "qcow2", source, output],
                output=output,
            )

        return row

    def inflate(method):
        def row():
            source = bench.text_raw()
            return Row(
                ["convert", "-f", "qcow2", "-O", "raw", bench.compressed(method), output],
                None,
                best=BEST,
                prepare=gone,
                verify=["compare", "-f", "raw", "-F", "raw", source, output],
            )

        return row

    def compare_raw():
        source = bench.random_raw()
        copy = bench.once("copy.raw", lambda path: shutil.copyfile(source, path))
        return Row(["compare", "-f", "raw", "-F", "raw", source, copy], None)

    def compare_luks():
        source = bench.random_raw()
        image = bench.encrypted("luks", source)
        names = [f"driver=raw,file.filename={source}", opts(image)]
        return Row(["compare", *SECRET, "--image-opts", *names], 4)

    def metadata(command, target):
        return lambda: Row([*command, bench.preallocated()], target)

    def snapshot():
        image = bench.path("snapshot.qcow2")
        return Row(
            ["snapshot", "-c", "s", image],
            10,
            prepare=lambda: copy_sparsely(bench.preallocated(), image),
        )

    def create(options, size, target, repeat=1):
        command = ["create", "-q", "-f", "qcow2", *SECRET, *options, output, size]
        return lambda: Row(command, target, prepare=gone, repeat=repeat)

    def unlock():
        command = [*SECRET, "-c", "quit", "--image-opts", opts(bench.unlocked_slowly())]
        return Row(command, 1.8, tool="qemu-io")

    def amend(change, target):
        def row():
            image = bench.two_keys()
            options = ",".join(f"encrypt.{option}" for option in change.split(","))
            return Row(
                ["amend", *SECRET, "--object", "secret,id=n,data=second", "-o", options, "--image-opts", opts(output)],
                target,
                prepare=lambda: shutil.copyfile(image, output),
                verify=["check", *SECRET, "--image-opts", opts(output)],
            )

        return row

    def requests(verb, kind, target, kib, count, scattered):
        """One process, one request after the other."""

        def row():
            generator = random.Random(3)
            places = bench.bytes // (kib << 10)
            numbers = (generator.randrange(places) if scattered else index % places for index in range(count))
            lines = "".join(f"{verb} -q {number * kib}k {kib}k\n" for number in numbers)
            template = bench.encrypted("luks", bench.random_raw()) if kind == "luks" else bench.plain()
            image = bench.path("requests.qcow2")
            key = [*SECRET, "--image-opts", opts(image)] if kind == "luks" else ["-f", "qcow2", image]
            return Row(key, target, tool="qemu-io", stdin=lines.encode(), prepare=lambda: shutil.copyfile(template, image))

        return row

    def small(verb, kind, target=None):
        return requests(verb, kind, target, 4, 20_000, True)

    def in_order(verb, kind):
        return requests(verb, kind, None, 64, 2 * (bench.bytes >> 16), False)

    def commit():
        base, top = bench.path("base.qcow2"), bench.path("top.qcow2")

        def make(template):
            bench.setup("create", "-q", "-f", "qcow2", base, str(bench.bytes))
            bench.setup("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", template)
            bench.setup("convert", "-n", "-f", "raw", "-O", "qcow2", bench.random_raw(), template)
            shutil.copyfile(base, bench.path("base-template.qcow2"))

        def prepare():
            shutil.copyfile(bench.once("top-template.qcow2", make), top)
            shutil.copyfile(bench.path("base-template.qcow2"), base)

        verify = ["compare", "-f", "raw", "-F", "qcow2", bench.random_raw(), base]
        return Row(["commit", "-q", top], None, prepare=prepare, verify=verify)

    luks = ["-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"]
    return [
        ("convert raw → qcow2", plain),
        ("convert qcow2 → raw", plain_back),
        ("convert raw → LUKS qcow2", into("luks", 3.5)),
        ("convert LUKS qcow2 → raw", out_of("luks", 3)),
        ("convert raw → AES qcow2", into("aes", 3)),
        ("convert AES qcow2 → raw", out_of("aes", 1.5)),
        ("convert -c zlib", compress("zlib", 2.3)),
        ("convert zlib → raw", inflate("zlib")),
        ("convert -c zstd", compress("zstd", 1.8)),
        ("convert zstd → raw", inflate("zstd")),
        ("compare raw, raw", compare_raw),
        ("compare raw, LUKS qcow2", compare_luks),
        ("check, 1 TiB preallocated", metadata(["check", "-q"], 5)),
        ("map, 1 TiB preallocated", metadata(["map"], 5)),
        ("measure, 1 TiB preallocated", metadata(["measure", "-O", "qcow2"], 5)),
        ("snapshot -c, 1 TiB preallocated", snapshot),
        ("create, 64 GiB", create([], "64G", None, 100)),
        ("create, 1 TiB, preallocation=metadata", create(["-o", "preallocation=metadata"], TIB, 5)),
        ("create, LUKS, iter-time=10", create(luks, "64M", 20)),
        ("unlock at 2 s of iterations", unlock),
        ("amend: add a key slot, iter-time=10", amend("state=active,new-secret=n,iter-time=10", None)),
        ("amend: erase a key slot", amend("state=inactive,keyslot=1", None)),
        ("20,000 × read 4 KiB, qcow2", small("read", "plain")),
        ("20,000 × write 4 KiB, qcow2", small("write", "plain")),
        ("20,000 × read 4 KiB, LUKS qcow2", small("read", "luks", 10)),
        ("20,000 × write 4 KiB, LUKS qcow2", small("write", "luks", 10)),
        ("all in order by 64 KiB, twice: read, qcow2", in_order("read", "plain")),
        ("the same: write, qcow2", in_order("write", "plain")),
        ("the same: read, LUKS qcow2", in_order("read", "luks")),
        ("the same: write, LUKS qcow2", in_order("write", "luks")),
        ("commit", commit),
        ("info", lambda: Row(["info", bench.plain()], 3, repeat=100)),
    ]


def run(command, prepare, stdin, repeat):
    """Seconds, processor seconds and peak KiB of one run, the first two by what it starts."""
    if prepare:
        prepare()
    if repeat > 1:
        command = ["sh", "-ec", f'i=0; while [ $i -lt {repeat} ]; do "$@"; i=$((i+1)); done', "sh", *command]
    with tempfile.NamedTemporaryFile("r") as peak:
        # A process's peak starts at that of whoever forked it; GNU time is small.
        wrapped = ["/usr/bin/time", "-f", "%M %U %S", "-o", peak.name, *command] if GNU_TIME else command
        start = time.perf_counter()
        result = subprocess.run(wrapped, input=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        seconds = time.perf_counter() - start
        if result.returncode:
            raise RuntimeError(result.stderr.decode(errors="replace").strip().splitlines()[-1:])
        if not GNU_TIME:
            return seconds / repeat, 0, 0
        kibibytes, user, system = peak.read().split()[-3:]
        return seconds / repeat, (float(user) + float(system)) / repeat, int(kibibytes)


GNU_TIME = os.path.exists("/usr/bin/time")


def measure(bench, row):
    """Medians of interleaved runs, by contestant."""
    contestants = {
        "default": [bench.real(row.tool), *row.command],
        "ours": [bench.ours(row.tool), *row.command],
    }
    if row.best:
        contestants["best"] = [bench.real(row.tool), *row.with_best()]
    seconds = {name: [] for name in contestants}
    processor = {name: [] for name in contestants}
    peaks = {name: [] for name in contestants}
    sizes = {}
    for _ in range(bench.arguments.runs):
        for name, command in contestants.items():
            taken, busy, peak = run(command, row.prepare, row.stdin, row.repeat)
            seconds[name].append(taken)
            processor[name].append(busy)
            peaks[name].append(peak)
            if row.output:
                sizes[name] = os.path.getsize(row.output)
            if name == "ours" and row.verify and len(seconds[name]) == 1:
                bench.setup(*row.verify)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    busy = {name: statistics.median(values) for name, values in processor.items()}
    return medians, busy, {name: max(values) for name, values in peaks.items()}, sizes


def duration(seconds):
    return f"{seconds:.3f}" if seconds >= 0.02 else f"{seconds:.4f}"


def line(name, row, medians, busy, peaks, sizes):
    best = min(value for name, value in medians.items() if name != "ours")
    ratio = best / medians["ours"]
    note = ""
    if sizes:
        note = f"size {sizes['ours'] / sizes['default']:.3f} of the real tool's"
    target = "" if row.target is None else f"{row.target:g}"
    if row.target is not None and ratio < row.target:
        target += " (short)"
    flags = duration(medians["best"]) if "best" in medians else "–"
    processor = f"{min(value for who, value in busy.items() if who != 'ours'):.2f} / {busy['ours']:.2f}" if GNU_TIME else "–"
    memory = f"{peaks['default'] / 1024:.0f} / {peaks['ours'] / 1024:.0f}" if GNU_TIME else "–"
    cells = [
        name,
        duration(medians["default"]),
        flags,
        duration(medians["ours"]),
        f"**{ratio:.1f}**",
        target,
        processor,
        memory,
        note,
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = """| task | real, default (s) | real, `-m 16 -W` (s) | cowproof (s) | ratio to the better | target | processor s, real / ours | peak MiB, real / ours | note |
|---|---|---|---|---|---|---|---|---|"""


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = re.findall(r"model name\s*: (.*)", file.read())
    return f"{len(names)} × {names[0]}" if names else platform.machine()


def in_process():
    """A table of criterion's benchmarks, which are run now: speed of the pieces, without processes around them."""
    command = ["cargo", "bench", "--quiet", "--locked", "--bench", "cipher", "--bench", "format", "--", "--quiet"]
    subprocess.run(command, check=True, cwd=REPOSITORY, stdout=sys.stderr)
    lines = ["| piece | a run | speed |", "|---|---|---|"]
    for path in sorted(glob.glob(os.path.join(REPOSITORY, "target/criterion/**/new/benchmark.json"), recursive=True)):
        with open(path, encoding="utf-8") as file:
            benchmark = json.load(file)
        with open(os.path.join(os.path.dirname(path), "estimates.json"), encoding="utf-8") as file:
            nanoseconds = json.load(file)["median"]["point_estimate"]
        (unit, amount), *_ = (benchmark["throughput"] or {"": 0}).items()
        speed = {
            "Bytes": f"{amount / nanoseconds * 1e3:.0f} MB/s",
            "Elements": f"{amount / nanoseconds * 1e3:.1f} M/s",
        }.get(unit, "–")
        lines.append(f"| {benchmark['full_id']} | {nanoseconds / 1e3:.1f} µs | {speed} |")
    return "\n".join(lines)


# What keeps a row below its target, where a profile showed it.
REASONS = {
    "zstd$": "85 % of the processor time is in libzstd's match finder, the same library at the same level as the real tool's, for frames of "
    "the same size; both cores are busy. Level 1 is 1.3 times as fast and 3.6 % larger, which nobody asked for.",
    "^convert .*(LUKS|AES)": "three quarters of the processor time are the kernel's, which copies the data out of one file and "
    "into the other; the cipher takes a quarter. How fast a machine copies memory decides the ratio; pieces of 512 KiB, 1 MiB and "
    "2 MiB took the same time.",
    "^info$": "an empty C program took 0.8 ms where this took 1.4 and the real tool 3.7 (`perf stat`): what is left is the loader and the "
    "Rust runtime.",
}


def what_is_short(lines):
    names = [text.split("|")[1].strip() for text in lines if "(short)" in text]
    if not names:
        return "No row is short of its target."
    reasons = ["What is short of its target, and why:", ""]
    for name in names:
        why = next((reason for pattern, reason in REASONS.items() if re.search(pattern, name)), "not looked into.")
        reasons.append(f"- {name}: {why}")
    return "\n".join(reasons)


def document(bench, lines, pieces):
    version = subprocess.run([bench.real("qemu-img"), "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    return f"""# Benchmarks

Made by `tools/bench.py --write`. Real tools: {version}. Machine: {processor()}, {platform.system()} {platform.release().split("-")[0]}.

Method: for each row the real tool with its defaults, cowproof, and the real tool with `-m 16 -W` (where it has these flags) run one after the
other, {bench.arguments.runs} times; medians of wall time, process start included. Images are {bench.arguments.size} MiB in a file system in memory;
random data, or words where data is to be compressed. Encrypted targets are made before the clock starts. The first result of each
convert is compared with its source by the real tool. The load average was {os.getloadavg()[0]:.1f} at the end; on a machine that is busy otherwise
only the processor times mean something. Absolute figures differ between machines, ratios much less; below 1, cowproof is slower.

{HEAD}
{chr(10).join(lines)}

{what_is_short(lines)}

## In process

`tools/bench.py --in-process` (criterion, medians). "by …" is the plain crate where our own loop goes over whole runs of sectors.

{pieces}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", help="only rows whose name matches this regular expression")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the images that are converted and compared")
    parser.add_argument("--dir", default="/dev/shm" if os.path.isdir("/dev/shm") else None, help="where scratch files go")
    parser.add_argument("--ours", default=os.path.join(REPOSITORY, "target/release/cowproof"))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--in-process", action="store_true", help="the criterion benchmarks too (minutes; --write runs them always)")
    arguments = parser.parse_args()
    if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
        sys.exit("skipped(no qemu-img or qemu-io on PATH): there is nothing to measure against")
    with tempfile.TemporaryDirectory(prefix="cowproof-bench-", dir=arguments.dir) as scratch:
        bench = Bench(arguments, scratch)
        refuse_full_disk(bench)
        lines = []
        print(HEAD)
        for name, make in rows(bench):
            if not re.search(arguments.rows, name):
                continue
            row = make()
            try:
                result = line(name, row, *measure(bench, row))
            except (RuntimeError, subprocess.CalledProcessError) as error:
                result = f"| {name} | failed: {error} |"
            print(result, flush=True)
            lines.append(result)
        if arguments.write or arguments.in_process:
            print(pieces := in_process())
        if arguments.write:
            with open(os.path.join(REPOSITORY, "docs/benchmarks.md"), "w", encoding="utf-8") as file:
                file.write(document(bench, lines, pieces))


if __name__ == "__main__":
    main()
