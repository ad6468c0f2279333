"""Commands as a user types them: wrong settings, parts that are not there, files that are no events."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from producer.cli import invoke
from producer.domains import wanted
from producer.errors import Misconfigured, shown
from producer.files import recorded

ROOT = Path(__file__).resolve().parents[2]
NOBODY = ["--brokers", "127.0.0.1:1", "--kafka-timeout", "0.2"]
LIVE = ["run", "--contact", "me@example.org"]


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["run"], 2, "no-contact"),
        (["run", "--contact", "nobody"], 2, "no-contact"),
        ([*LIVE, "--url", "https://example.org/"], 2, "--allow-host example.org"),
        ([*LIVE, "--url", "http://10.0.0.1/"], 2, "url-refused"),
        ([*LIVE, "--since", "yesterday"], 2, "bad-since"),
        ([*LIVE, "--domains", "missing.csv"], 2, "bad-domains"),
        ([*LIVE, "--domains", "one, two"], 2, "bad-domains"),
        ([*LIVE, "--rewind", "0"], 2, "--rewind"),
        ([*LIVE, "--kafka", "nonsense"], 2, "KEY=VALUE"),
        ([*LIVE, "--kafka", "no.such.key=1"], 2, "bad-kafka-setting"),
        ([*LIVE, "--kafka-auth", "msk-iam"], 2, "--aws-region"),
        ([*LIVE, "--topic", "dlq-events"], 2, "same topic"),
        ([*LIVE, *NOBODY], 75, "kafka-unreachable"),
        ([*LIVE, *NOBODY, "--state", "/dev/null/x"], 2, "state-unusable"),
        (["topics", "ensure", *NOBODY], 75, "kafka-unreachable"),
        (["dlq", "list", *NOBODY], 75, "kafka-unreachable"),
        (["dlq", "replay", "--domains", "all", *NOBODY], 75, "kafka-unreachable"),
        (["replay", "missing"], 2, "does not exist"),
        (["nope"], 2, "No such command"),
    ],
)
def test_what_is_wrong_is_said_with_its_code(
    argv: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "sql/reference").mkdir(parents=True)
    (tmp_path / "sql/reference/domain_regions.csv").write_text("domain,region\nen.wikipedia.org,x\n")
    monkeypatch.chdir(tmp_path)
    assert invoke(argv) == code
    said = capsys.readouterr()
    assert says in said.err
    assert "Traceback" not in said.err


def test_options_are_variables_of_the_environment_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRODUCER_RUN_CONTACT", "me@example.org")
    monkeypatch.setenv("PRODUCER_RUN_URL", "https://example.org/")
    assert invoke(["run"]) == 2
    assert "example.org is not among the hosts" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from producer.cli import invoke; invoke(['run', '--help'])\n"
        "heavy = {'confluent_kafka', 'requests', 'boto3', 'prometheus_client', 'sseclient', 'runner'}\n"
        "sys.exit(bool({m.partition('.')[0] for m in sys.modules} & heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT).returncode == 0


def test_the_iam_login_signs_a_token_that_names_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed on this machine: nothing is asked of AWS."""
    from producer.kafka import Brokers

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    config = Brokers("b:9098", "msk-iam", "eu-central-1").config()
    assert (config["security.protocol"], config["sasl.mechanisms"]) == ("SASL_SSL", "OAUTHBEARER")
    token, ends = config["oauth_cb"]("")
    assert len(token) > 100
    assert 1_000_000_000 < ends < 100_000_000_000  # seconds, not milliseconds


def test_domains_are_all_a_list_or_a_file(tmp_path: Path) -> None:
    assert wanted("all") is None
    assert wanted("de.wikipedia.org, EN.wikipedia.org,") == {"de.wikipedia.org", "en.wikipedia.org"}
    assert len(wanted(str(ROOT / "sql/reference/domain_regions.csv")) or ()) == 18
    (tmp_path / "x.csv").write_text("host\na\n")
    for text in (str(tmp_path / "x.csv"), "", str(tmp_path)):
        with pytest.raises(Misconfigured):
            wanted(text)


def test_text_of_strangers_is_one_short_line() -> None:
    assert shown("a\x1b[31m\n\u202eb\ud800") == "a\\x1b[31m\\n\\u202eb\\ud800"
    assert len(shown("x" * 10_000)) < 250


# ------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_lines_come_with_their_place_and_exact_bytes(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "e.ndjson"
    path.write_bytes(b"{}\r\n\n\xff\xfe" + end)
    assert [tuple(one) for one in recorded(path, limit=100)] == [
        (b"{}", "e.ndjson:1", 0),
        (b"\xff\xfe", "e.ndjson:3", 0),
    ]


def test_captures_and_compressed_files_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(gzip.compress(b":ok\n\nid: 7\ndata: {}\n\ndata: torn"))
    assert [tuple(one) for one in recorded(path, limit=100)] == [(b"{}", "7", 0)]


def test_a_line_that_is_too_large_is_told_with_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_bytes(b"a\n" + b"x" * 2_000_000 + b"\nb\n")
    first, large, last = recorded(path, limit=50_000)
    assert (first.data, large.size, last.data, last.position) == (b"a", 2_000_000, b"b", "e:3")
    assert len(large.data) == 16_384


def test_a_broken_archive_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "e.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 1000)[:-9])
    with pytest.raises(Misconfigured, match="file-unreadable"):
        list(recorded(path, limit=100))


# --------------------------------------------------------------------------------------- container


def test_the_image_is_small_pinned_and_without_root() -> None:
    text = (ROOT / "producer/Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    steps = [
        (line.split()[0], line.split(maxsplit=1)[1])
        for line in text.splitlines()
        if line.strip() and not line.startswith("#")
    ]
    words = dict(steps)
    assert not words["USER"].startswith(("0", "root"))
    assert " CMD [" in words["HEALTHCHECK"]
    assert "/livez" in words["HEALTHCHECK"]
    assert words["ENTRYPOINT"].startswith("[")
    assert ":" in words["FROM"]
    assert not words["FROM"].endswith(":latest")
    assert "--require-hashes" in words["RUN"]


def test_its_lock_holds_what_the_producer_needs_at_the_versions_of_the_project() -> None:
    import re

    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", path.read_text(encoding="utf-8"), re.M))

    image, project = pins(ROOT / "producer/requirements.lock"), pins(ROOT / "requirements.lock")
    named = {
        "click",
        "confluent-kafka",
        "prometheus-client",
        "requests",
        "sseclient-py",
        "aws-msk-iam-sasl-signer-python",
    }
    assert named <= set(image)
    assert "pyspark" not in image
    assert {name: version for name, version in image.items() if project.get(name) != version} == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_zero_and_its_position_saved(tmp_path: Path, number: signal.Signals) -> None:
    """As a process, on librdkafka's own mock of a broker."""
    from tests.producer.http import Answer, serving
    from tests.producer.streams import body, position

    event = b"id: %b\ndata: %b\n\n" % (position(5).encode(), body(1))
    state = tmp_path / "state.json"
    with serving(lambda n: Answer(chunks=[event], hang=True)) as fake:
        command = [*LIVE, "--url", fake.url, "--state", str(state), "--domains", "all"]
        mock = ["--kafka", "test.mock.num.brokers=1", "--kafka", "allow.auto.create.topics=true"]
        process = subprocess.Popen(
            [sys.executable, "-c", MOCKED, *command, *mock],
            cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            while not state.exists() and process.poll() is None:
                pass
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert "1 received = 1 sent" in said
    assert '\\"timestamp\\":5' in state.read_text()


#: A mock has no topics until somebody writes to them.
MOCKED = (
    "import producer.kafka as k; k.KafkaSink.demand = lambda self, *names: None\n"
    "from producer.cli import main; main()"
)


def test_what_nobody_foresaw_is_one_fault_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(text: str) -> None:
        raise ZeroDivisionError("of\x1bstrangers")

    monkeypatch.setattr("producer.domains.wanted", broken)
    assert invoke(LIVE) == 1
    said = capsys.readouterr().err
    assert "[bug]" in said
    assert "of\\x1bstrangers" in said
    assert "Traceback" not in said
