"""Tasks: scripts, shell scripts and commands as assets, in real processes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from practicus_assets import Column, Contract, Worker, task_asset
from practicus_assets.errors import DeclarationError, TaskFailed
from practicus_assets.tasks.process import run as run_process
from tests.integration.bench import Bench, errors

Script = Callable[..., Path]
days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a script into the folder of tasks, and return its path."""
    folder = tmp_path / "tasks"
    folder.mkdir()

    def write(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


def told(bench: Bench, script: Script, *names: str, **options: Any) -> dict[str, str]:
    """Return variables of a task in a run with these options of a run."""
    listed = ", ".join(map(repr, names))
    path = script(
        "told.py",
        f"import json, os\njson.dump({{n: os.environ.get(n) for n in [{listed}]}}, open('told.json', 'w'))",
    )
    partitions_def = days if options else None
    bench.run([task_asset(path, artifacts=["told.json"], partitions_def=partitions_def)], **options)
    kept = Path(bench.metadata("told")["practicus/artifacts"], "told.json")
    found: dict[str, str] = json.loads(kept.read_text())
    return found


def test_a_script_that_knows_nothing_is_an_asset_named_by_its_file(bench: Bench, script: Script) -> None:
    bench.run([task_asset(script("process-table 1.py", "print('done')"))])
    assert bench.metadata("process_table_1")["practicus/exit_code"] == 0


def test_a_script_is_found_beside_the_module_that_declares_it() -> None:
    with pytest.raises(DeclarationError, match=r"there is no file .*/tests/integration/absent.py"):
        task_asset("absent.py")


def test_a_misspelt_file_is_answered_with_the_nearest_name(script: Script) -> None:
    path = script("load_orders.py", "")
    with pytest.raises(DeclarationError, match=r"Did you mean load_orders\.py\?"):
        task_asset(path.with_name("load_order.py"))


def test_a_file_that_nothing_is_known_to_run_is_refused(script: Script) -> None:
    with pytest.raises(DeclarationError, match=r"nobody can tell what runs load\.rb"):
        task_asset(script("load.rb", ""))


def test_a_shell_script_runs_by_bash_without_an_execute_bit(bench: Bench, script: Script) -> None:
    path = script("load.sh", '[[ "$1" == two\\ words ]] && echo "$1" > said.txt')
    bench.run([task_asset(path, arguments=["two words"], artifacts=["*.txt"])])
    assert bench.metadata("load")["practicus/artifact_files"] == ["said.txt"]


def test_a_command_that_is_not_there_is_named(bench: Bench) -> None:
    result = bench.run([task_asset(["no-such-program", "x"], name="t")], fails=True)
    assert "there is no program 'no-such-program' here" in errors(result)


def test_a_task_imports_its_siblings_and_writes_beside_them_in_a_copy(bench: Bench, script: Script) -> None:
    script("sibling.py", "NUMBER = 3")
    path = script("t.py", "import sibling; open('out.txt', 'w').write(str(sibling.NUMBER))")
    bench.run([task_asset(path, artifacts=["out.txt"])])
    kept = Path(bench.metadata("t")["practicus/artifacts"], "out.txt")
    assert (kept.read_text(), sorted(p.name for p in path.parent.iterdir())) == ("3", ["sibling.py", "t.py"])


def test_a_task_runs_in_its_own_folder_where_that_is_asked_for(bench: Bench, script: Script) -> None:
    path = script("t.py", "open('out.txt', 'w').write('x')")
    bench.run([task_asset(path, copy_folder=False)])
    assert path.with_name("out.txt").exists()


def test_artifacts_of_a_task_in_its_own_folder_are_those_that_it_wrote(bench: Bench, script: Script) -> None:
    old = script("old.txt", "of another run")
    os.utime(old, (0, 0))
    path = script("t.py", "open('new.txt', 'w').write('x')")
    bench.run([task_asset(path, artifacts=["*.txt"], copy_folder=False)])
    assert bench.metadata("t")["practicus/artifact_files"] == ["new.txt"]


def test_links_of_a_folder_are_followed_but_not_in_a_circle(bench: Bench, script: Script) -> None:
    script("n.py", "")
    path = script("t.sh", "[[ $(cat shared/data.txt) == far ]] && echo near >> shared/data.txt")
    far = path.parents[1] / "far"
    far.mkdir()
    Path(far, "data.txt").write_text("far")
    Path(far, "data.txt").chmod(0o444)
    for name, to in {"shared": far, "one": path.parent, "two": path.parent, "gone": far / "gone"}.items():
        path.with_name(name).symlink_to(to)
    os.mkfifo(path.with_name("pipe"))
    bench.run([task_asset(path)])
    assert Path(far, "data.txt").read_text() == "far"


def test_a_folder_that_a_link_makes_large_is_refused(
    bench: Bench, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("practicus_assets.tasks.folder._MOST_BYTES", 1000)
    path = script("t.sh", "true")
    far = path.parents[1] / "far"
    far.mkdir()
    Path(far, "data.bin").write_bytes(bytes(1001))
    path.with_name("data").symlink_to(far)
    assert "which would be copied for each attempt" in errors(bench.run([task_asset(path)], fails=True))


def test_artifacts_that_cannot_be_kept_do_not_hide_why_the_task_failed(bench: Bench, script: Script) -> None:
    Path(bench.root).mkdir(exist_ok=True)
    Path(bench.root, "_artifacts").write_text("a file, where a folder is to be")
    path = script("t.sh", "echo x > a.txt; echo no header >&2; exit 1")
    assert "no header" in errors(bench.run([task_asset(path, artifacts=["*.txt"])], fails=True))
    path = script("u.sh", "echo x > a.txt")
    assert "_artifacts" in errors(bench.run([task_asset(path, artifacts=["*.txt"])], fails=True))


def test_artifacts_of_a_task_beyond_its_time_limit_are_kept(bench: Bench, script: Script) -> None:
    path = script("t.sh", "echo x > a.txt; exec sleep 600")
    worker = Worker(time_limit_seconds=1)
    bench.run([task_asset(path, artifacts=["*.txt"], worker=worker)], fails=True)
    assert len([*Path(bench.root, "_artifacts/t").glob("*/a.txt")]) == 1


def test_artifacts_of_a_task_that_failed_are_kept(bench: Bench, script: Script) -> None:
    path = script("t.py", "open('report.html', 'w').write('x'); raise SystemExit(1)")
    bench.run([task_asset(path, artifacts=["*.html"])], fails=True)
    assert len([*Path(bench.root, "_artifacts/t").glob("*/report.html")]) == 1


def test_a_task_is_told_of_its_run(bench: Bench, script: Script) -> None:
    found = told(
        bench, script, "PRACTICUS_ASSET_KEY", "PRACTICUS_ATTEMPT", "PRACTICUS_PARTITION_KEY", "EXECUTION_DATE"
    )
    assert found.pop("EXECUTION_DATE").startswith("20")
    assert found == {
        "PRACTICUS_ASSET_KEY": "told",
        "PRACTICUS_ATTEMPT": "1",
        "PRACTICUS_PARTITION_KEY": None,
    }


def test_a_task_is_told_its_partition_and_its_window(bench: Bench, script: Script) -> None:
    names = ("PRACTICUS_PARTITION_KEY", "PRACTICUS_WINDOW_START", "PRACTICUS_WINDOW_END", "EXECUTION_DATE")
    assert told(bench, script, *names, partition="2026-01-06") == {
        "PRACTICUS_PARTITION_KEY": "2026-01-06",
        "PRACTICUS_WINDOW_START": "2026-01-06T00:00:00+00:00",
        "PRACTICUS_WINDOW_END": "2026-01-07T00:00:00+00:00",
        "EXECUTION_DATE": "2026-01-06",
    }


def test_a_task_of_a_range_reads_its_keys_from_a_file(bench: Bench, script: Script) -> None:
    path = script(
        "t.py", "import os, shutil; shutil.copy(os.environ['PRACTICUS_PARTITION_KEYS_FILE'], 'keys.json')"
    )
    asset = task_asset(
        path, partitions_def=days, artifacts=["keys.json"], backfill_policy=dg.BackfillPolicy.single_run()
    )
    bench.run([asset], between=("2026-01-06", "2026-01-08"))
    kept = Path(bench.metadata("t")["practicus/artifacts"], "keys.json")
    assert json.loads(kept.read_text()) == ["2026-01-06", "2026-01-07", "2026-01-08"]


def test_a_task_of_two_dimensions_is_told_the_window_of_the_one_that_is_time(
    bench: Bench, script: Script
) -> None:
    both = dg.MultiPartitionsDefinition({"day": days, "region": dg.StaticPartitionsDefinition(["eu", "us"])})
    path = script("t.sh", "[[ $EXECUTION_DATE == 2026-01-06 && $PRACTICUS_WINDOW_END == 2026-01-07T* ]]")
    key = dg.MultiPartitionKey({"day": "2026-01-06", "region": "eu"})
    bench.run([task_asset(path, partitions_def=both)], partition=key)


def test_an_execution_date_that_is_asked_for_is_the_one_that_is_told(bench: Bench, script: Script) -> None:
    path = script("t.sh", "[[ $EXECUTION_DATE == 2025-02-03 ]]")
    asset = task_asset(path, parameters={"EXECUTION_DATE": ""})
    bench.run([asset], fails=True)
    bench.run([asset], run_config={"ops": {"t": {"config": {"EXECUTION_DATE": "2025-02-03"}}}})


def test_a_task_within_a_task_is_not_told_of_the_outer_one(
    bench: Bench, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRACTICUS_PARTITION_KEY", "2026-01-06")
    monkeypatch.setenv("PRACTICUS_WINDOW_START", "2026-01-06T00:00:00+00:00")
    bench.run([task_asset(script("t.sh", '[[ -z "$PRACTICUS_PARTITION_KEY$PRACTICUS_WINDOW_START" ]]'))])


def test_secrets_of_parameters_and_passwords_in_urls_are_masked(
    bench: Bench, script: Script, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DB_URL", "postgres://loader:p%40ssw0rd@db/shop")
    path = script("t.py", "import os; print(os.environ['API_TOKEN'], 'p@ssw0rd', 'p%40ssw0rd'); 1 / 0")
    asset = task_asset(path, parameters={"API_TOKEN": ""})
    result = bench.run([asset], run_config={"ops": {"t": {"config": {"API_TOKEN": "se same"}}}}, fails=True)
    assert capfd.readouterr().out.strip() == "*** *** ***"
    assert "*** *** ***" in errors(result)


def test_parameters_are_variables_that_a_launch_may_set(bench: Bench, script: Script) -> None:
    path = script("t.py", "import os; raise SystemExit(os.environ['MODE'] + os.environ['DAYS'] != 'full3')")
    asset = task_asset(path, parameters={"MODE": "quick", "DAYS": 3})
    bench.run([asset], fails=True)
    bench.run([asset], run_config={"ops": {"t": {"config": {"MODE": "full"}}}})


def test_an_exit_code_fails_the_step_with_the_last_lines(bench: Bench, script: Script) -> None:
    path = script("t.py", "print('reading'); raise ValueError('the file has no header')")
    text = errors(bench.run([task_asset(path)], fails=True))
    assert "the task ended with exit code 1" in text
    assert "ValueError: the file has no header" in text


def test_a_skipping_task_leaves_its_asset_and_skips_what_needs_it(bench: Bench, script: Script) -> None:
    first = task_asset(script("first.sh", "exit 99"))
    second = task_asset(script("second.sh", "true"), deps=[first])
    result = bench.run([first, second])
    assert [event.step_key for event in result.get_step_skipped_events()] == ["second"]
    assert bench.materializations("first") == 0


def test_a_code_that_means_fail_is_not_tried_again(bench: Bench, script: Script) -> None:
    policy = dg.RetryPolicy(max_retries=3)
    asset = task_asset(script("t.sh", "exit 7"), exit_codes={7: "fail"}, retry_policy=policy)
    result = bench.run([asset], fails=True)
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


def test_a_task_is_tried_again_by_its_retry_policy_and_told_so(bench: Bench, script: Script) -> None:
    path = script("t.sh", '[[ "$PRACTICUS_ATTEMPT" == 3 ]]')
    result = bench.run([task_asset(path, retry_policy=dg.RetryPolicy(max_retries=2))])
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 2


@pytest.mark.parametrize("codes", [{0: "explode"}, {300: "skip"}, {"1": "skip"}], ids=str)
def test_exit_codes_that_mean_nothing_are_refused(codes: Any) -> None:
    with pytest.raises(DeclarationError, match="An exit code is from 0 to 255"):
        task_asset(["true"], exit_codes=codes)


def test_a_signal_is_named(bench: Bench, script: Script) -> None:
    text = errors(bench.run([task_asset(script("t.sh", "kill -9 $$"))], fails=True))
    assert "the task was ended by SIGKILL, as one is that runs out of memory" in text


def test_a_time_limit_ends_the_task_and_what_it_started(bench: Bench, script: Script) -> None:
    path = script("t.sh", "sleep 1000 & echo $! > /dev/stderr; wait")
    asset = task_asset(path, worker=Worker(time_limit_seconds=1))
    text = errors(bench.run([asset], fails=True))
    assert "ran longer than its time limit of 1 s" in text
    child = int(text.split("Its last lines:\n")[1].split()[0])
    _gone(child)


def test_a_task_that_reports_by_pipes_shows_metadata_and_checks(bench: Bench, script: Script) -> None:
    path = script(
        "t.py",
        """
        from dagster_pipes import open_dagster_pipes
        with open_dagster_pipes() as pipes:
            assert pipes.get_extra("DAYS") == 3
            pipes.report_asset_materialization(metadata={"rows": 12}, data_version="v7")
            pipes.report_asset_check("enough", passed=True, severity="ERROR")
        """,
    )
    spec = dg.AssetCheckSpec("enough", asset="t")
    result = bench.run([task_asset(path, check_specs=[spec], parameters={"DAYS": 3})])
    assert (bench.metadata("t")["rows"], bench.data_version("t")) == (12, "v7")
    assert [found.passed for found in result.get_asset_check_evaluations()] == [True]


def test_a_check_that_a_failing_task_reported_is_recorded(bench: Bench, script: Script) -> None:
    path = script(
        "t.py",
        """
        from dagster_pipes import open_dagster_pipes
        with open_dagster_pipes() as pipes:
            pipes.report_asset_check("enough", passed=False)
        raise SystemExit(3)
        """,
    )
    spec = dg.AssetCheckSpec("enough", asset="t")
    for table in (None, {}):
        result = bench.run([task_asset(path, check_specs=[spec], table=table)], fails=True)
        assert [found.passed for found in result.get_asset_check_evaluations()] == [False]
        assert "the task ended with exit code 3" in errors(result)


@pytest.mark.parametrize("code", [0, 99])
def test_a_task_that_reports_no_result_of_its_check_is_told_how(
    bench: Bench, script: Script, code: int
) -> None:
    spec = dg.AssetCheckSpec("enough", asset="t")
    text = errors(bench.run([task_asset(script("t.sh", f"exit {code}"), check_specs=[spec])], fails=True))
    assert "without a result of the check 'enough'" in text


def test_a_pipes_session_that_is_never_closed_fails_the_task(bench: Bench, script: Script) -> None:
    path = script(
        "t.py", "import os\nfrom dagster_pipes import open_dagster_pipes\nopen_dagster_pipes()\nos._exit(0)"
    )
    text = errors(bench.run([task_asset(path)], fails=True))
    assert "opened a session of Dagster Pipes and ended without closing it" in text


class TestOutput:
    """What a process prints, on its way to the step's own output."""

    def run(self, tmp_path: Path, code: str, secrets: tuple[str, ...] = ()) -> str:
        return run_process([sys.executable, "-c", code], tmp_path, dict(os.environ), secrets).tail

    @pytest.mark.parametrize(
        ("code", "size"),
        [
            ("print('x' * 200_000)", 200_001),
            ("import sys; sys.stderr.write('y' * 10_000_000)", 10_000_000),
            (
                "import os\nfor n in range(2000): os.write(1, b'a' * 100); os.write(2, b'b' * 100)",
                400_000,
            ),
        ],
        ids=["200 kB", "one line of 10 MB", "both streams"],
    )
    def test_all_of_it_is_passed_on(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str, size: int
    ) -> None:
        self.run(tmp_path, code)
        out, err = capfd.readouterr()
        assert len(out) + len(err) == size

    def test_it_comes_before_the_task_has_ended(self, tmp_path: Path) -> None:
        reading, writing = os.pipe()
        code = (
            "import os\nfrom practicus_assets.tasks.process import run\nfrom pathlib import Path\n"
            "run(['bash', '-c', 'echo 1; exec sleep 600'], Path('.'), dict(os.environ))"
        )
        process = subprocess.Popen([sys.executable, "-c", code], stdout=writing, cwd=tmp_path)
        os.close(writing)
        came = os.read(reading, 10)
        process.kill()
        process.wait()
        os.close(reading)
        assert came == b"1\n"

    def test_broken_utf_8_is_passed_on_as_it_is(self, tmp_path: Path) -> None:
        assert "�" in self.run(tmp_path, r"import os; os.write(1, b'caf\xe9\n')")

    def test_the_last_state_of_a_progress_bar_is_what_an_error_shows(self, tmp_path: Path) -> None:
        tail = self.run(tmp_path, r"print('  1%\r 50%\r100%')")
        assert tail == "100%"

    def test_secrets_are_masked_also_where_a_write_cuts_them(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        code = "import os, time; os.write(1, b'a sesame-'); time.sleep(0.3); os.write(1, b'street b')"
        self.run(tmp_path, code, ("sesame-street",))
        assert capfd.readouterr().out == "a *** b"

    def test_a_process_that_outlives_the_task_does_not_hold_it(self, tmp_path: Path) -> None:
        command = ["bash", "-c", "sleep 600 & echo $!"]
        ended = run_process(command, tmp_path, dict(os.environ))
        os.kill(int(ended.tail), signal.SIGKILL)
        assert ended.seconds < 300

    def test_a_task_ends_with_the_process_that_runs_it(self, tmp_path: Path) -> None:
        code = (
            "import os\nfrom practicus_assets.tasks.process import run\nfrom pathlib import Path\n"
            "run(['bash', '-c', 'echo $$; exec sleep 600'], Path('.'), dict(os.environ))"
        )
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path)
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        process.stdout.close()
        _gone(child)

    def test_what_a_task_started_ends_with_the_process_that_runs_it(self, tmp_path: Path) -> None:
        code = (
            "import os\nfrom practicus_assets.tasks.process import run\nfrom pathlib import Path\n"
            "run(['bash', '-c', 'sleep 600 & echo $!; wait'], Path('.'), dict(os.environ))"
        )
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path)
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        process.kill()
        process.wait()
        process.stdout.close()
        _gone(grandchild)

    def test_output_that_nobody_reads_does_not_end_the_task(self, tmp_path: Path) -> None:
        code = (
            "import os\nfrom practicus_assets.tasks.process import run\nfrom pathlib import Path\n"
            "run(['bash', '-c', 'echo 1; echo 2; echo 3 > done'], Path('.'), dict(os.environ))"
        )
        reading, writing = os.pipe()
        os.close(reading)
        subprocess.run([sys.executable, "-c", code], stdout=writing, cwd=tmp_path, check=True)
        os.close(writing)
        assert (tmp_path / "done").exists()

    def test_all_of_it_comes_where_the_output_is_not_to_block(self, tmp_path: Path) -> None:
        code = (
            "import os\nfrom practicus_assets.tasks.process import run\nfrom pathlib import Path\n"
            "run(['bash', '-c', 'head -c 500000 /dev/zero'], Path('.'), dict(os.environ))"
        )
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        process = subprocess.Popen([sys.executable, "-c", code], stdout=writing, cwd=tmp_path)
        os.close(writing)
        with os.fdopen(reading, "rb") as output:
            assert len(output.read()) == 500_000
        assert process.wait() == 0

    def test_a_shells_pipes_end_by_signals_as_elsewhere(self, tmp_path: Path) -> None:
        command = ["bash", "-c", "yes | head -1 > /dev/null; exit ${PIPESTATUS[0]}"]
        assert run_process(command, tmp_path, dict(os.environ)).code == 128 + signal.SIGPIPE

    def test_an_interrupt_ends_the_task(self, tmp_path: Path) -> None:
        started = tmp_path / "started"

        def interrupt() -> None:
            while not started.exists() or not started.read_text():
                time.sleep(0.01)
            signal.raise_signal(signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            run_process(["bash", "-c", "echo $$ > started; exec sleep 600"], tmp_path, dict(os.environ))
        _gone(int(started.read_text()))


Ns = Contract(columns={"n": Column("int32", minimum=1)})


def test_a_script_writes_its_table_with_the_contracts_types(bench: Bench, script: Script) -> None:
    path = script("t.py", "from practicus_assets import task\ntask.table('t').replace([{'n': 1}, {'n': 2}])")
    bench.run([task_asset(path, table={"contract": Ns})])
    assert (bench.rows("t"), str(bench.frame("t")["n"].dtype)) == ([(1,), (2,)], "int32")


def test_a_script_that_breaks_the_contract_leaves_the_table(bench: Bench, script: Script) -> None:
    path = script(
        "t.py",
        """
        import os
        from practicus_assets import task
        task.table("t").replace([{"n": int(os.environ["N"])}])
        """,
    )
    asset = task_asset(path, table={"contract": Ns}, parameters={"N": 1})
    bench.run([asset])
    text = errors(bench.run([asset], run_config={"ops": {"t": {"config": {"N": 0}}}}, fails=True))
    assert "Nothing was written." in text
    assert bench.rows("t") == [(1,)]


@pytest.mark.parametrize("end", ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_a_script_that_fails_after_its_rows_leaves_the_table(bench: Bench, script: Script, end: str) -> None:
    path = script("t.py", f"from practicus_assets import task\ntask.table('t').replace([{{'n': 1}}])\n{end}")
    bench.run([task_asset(path, table={})], fails=True)
    assert not bench.exists("t")


def test_a_partition_is_replaced_by_a_script(bench: Bench, script: Script) -> None:
    path = script(
        "t.py",
        """
        import os
        from practicus_assets import task
        task.table("t").replace([{"n": int(os.environ["PRACTICUS_PARTITION_KEY"][-2:])}])
        """,
    )
    asset = task_asset(path, partitions_def=days, table={"partition_by": "day"})
    for day in ("2026-01-06", "2026-01-07", "2026-01-06"):
        bench.run([asset], partition=day)
    assert bench.rows("t", "n") == [(6,), (7,)]


def test_a_script_appends_in_several_calls_and_one_commit(bench: Bench, script: Script) -> None:
    path = script(
        "t.py",
        """
        from practicus_assets import task
        for n in range(12):
            task.table("t").append([{"n": n}])
        """,
    )
    bench.run([task_asset(path, table={"mode": "append"})])
    assert (bench.rows("t"), bench.version("t")) == ([(n,) for n in range(12)], 0)


def test_threads_of_a_script_append_side_by_side(bench: Bench, script: Script) -> None:
    path = script(
        "t.py",
        """
        from concurrent.futures import ThreadPoolExecutor
        from threading import Barrier
        from practicus_assets import task
        table, together = task.table("t"), Barrier(16)
        def append(n):
            together.wait()
            table.append([{"n": n}])
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(append, range(16)))
        """,
    )
    bench.run([task_asset(path, table={"mode": "append"})])
    assert bench.rows("t") == [(n,) for n in range(16)]


def test_a_process_of_a_script_that_dies_giving_rows_loses_none_in_silence(
    bench: Bench, script: Script
) -> None:
    script(
        "half.py",
        """
        import os, signal
        from practicus_assets import task
        def rows():
            yield [{"n": 1}]
            os.kill(os.getpid(), signal.SIGKILL)
        task.table("t").append(rows())
        """,
    )
    whole = "from practicus_assets import task; task.table('t').append([{'n': 2}])"
    path = script("t.sh", f'{sys.executable} half.py\n{sys.executable} -c "{whole}"')
    text = errors(bench.run([task_asset(path, table={"mode": "append"})], fails=True))
    assert "a process of it had not finished giving rows" in text
    assert not bench.exists("t")


def test_a_script_may_give_rows_again_after_a_call_that_failed(bench: Bench, script: Script) -> None:
    path = script(
        "t.py",
        """
        from practicus_assets import task
        def rows():
            yield [{"n": 1}]
            raise TimeoutError
        try:
            task.table("t").replace(rows())
        except TimeoutError:
            task.table("t").replace([{"n": 2}])
        """,
    )
    bench.run([task_asset(path, table={})])
    assert bench.rows("t") == [(2,)]


def test_a_script_of_a_table_without_rows_for_it_is_told_what_to_write(bench: Bench, script: Script) -> None:
    text = errors(bench.run([task_asset(script("t.py", ""), table={})], fails=True))
    assert 'task.table("t").replace(rows)' in text


def test_a_script_that_may_have_nothing_new_leaves_the_table(bench: Bench, script: Script) -> None:
    bench.run([task_asset(script("t.py", ""), table={}, output_required=False)])
    assert bench.materializations("t") == 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("task.table('other').replace([{'n': 1}])", "the task has no table 'other'"),
        ("task.table('t').append([{'n': 1}])", 't is stored by mode="replace", and the script calls append'),
        ("[task.table('t').replace([{'n': 1}]) for _ in '12']", "the script replaces the table twice"),
        ("task.table('t').replace(3)", "an int, which is no table"),
    ],
    ids=["another table", "another mode", "twice", "no table"],
)
def test_a_wrong_call_is_an_error_in_the_script(bench: Bench, script: Script, call: str, said: str) -> None:
    path = script("t.py", f"from practicus_assets import task\n{call}")
    assert said in errors(bench.run([task_asset(path, table={})], fails=True))


def test_a_script_that_no_task_runs_is_told_so(script: Script) -> None:
    path = script("t.py", "from practicus_assets import task\ntask.table('t')")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert "no task runs this script" in done.stderr


def test_a_task_reports_why_it_failed_as_an_error_of_this_package(tmp_path: Path) -> None:
    with pytest.raises(TaskFailed, match="longer than its time limit"):
        run_process(["sleep", "600"], tmp_path, dict(os.environ), time_limit_seconds=0.2)


def _gone(process: int) -> None:
    """Return once a process is gone, or dead and not yet waited for."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {process} is still there")


@pytest.mark.parametrize("default", ["hunter22", "postgres://loader:hunter22@db/shop"], ids=["name", "url"])
def test_a_secret_is_no_default_of_a_parameter(default: str) -> None:
    name = "API_TOKEN" if "/" not in default else "DB"
    with pytest.raises(DeclarationError, match=f"the parameter '{name}' looks like a secret") as error:
        task_asset(["true"], parameters={name: default})
    assert "hunter22" not in str(error.value)


def test_a_variable_may_be_the_default_of_a_parameter(
    bench: Bench, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "hunter22")
    path = script("t.sh", '[[ "$API_TOKEN" == hunter22 && "$USE_TOKEN" == true ]]')
    bench.run([task_asset(path, parameters={"API_TOKEN": dg.EnvVar("SHOP_TOKEN"), "USE_TOKEN": True})])


def test_shell_scripts_find_the_python_of_their_worker(
    bench: Bench, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = script("python", "#!/bin/sh\nexit 3")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{other.parent}:/usr/bin:/bin")
    own = Path(sys.executable).parent
    bench.run([task_asset(script("t.sh", f'[[ "$(command -v python)" == {own}/python ]]'))])
