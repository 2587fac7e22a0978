"""Times the reading of the DAG file in a process forked from a warm one, as each task does it."""

from __future__ import annotations

import multiprocessing

from airflow.dag_processing.dagbag import DagBag

from benchmarks.measures import Measure, seconds
from include.processes.warm_up import warm_up
from include.settings import ROOT

RUNS = 9


def measure_dag_file() -> list[Measure]:
    receive, send = multiprocessing.Pipe(duplex=False)
    fork = multiprocessing.get_context("fork").Process

    def read() -> None:
        send.send(seconds(lambda: DagBag(ROOT / "dags" / "pipelines.py", load_op_links=False)))

    def parent() -> None:
        warm_up()
        for _ in range(RUNS):
            child = fork(target=read)
            child.start()
            child.join()

    process = fork(target=parent)
    process.start()
    process.join()
    return [
        Measure("dag_parse_s", "reading the DAG file, warm", [receive.recv() for _ in range(RUNS)], "s", at_most=0.5)
    ]
