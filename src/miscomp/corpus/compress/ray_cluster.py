"""A Ray cluster as the engine sees it: joined and left, its nodes, and what is installed on them."""

from __future__ import annotations

import logging
import os
import platform
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from miscomp.corpus.compress.engines import EngineOptions
from miscomp.errors import MissingExtra, UsageError
from miscomp.folders import package_version

_ANSWER_S = 300.0
"""How long a node may take to start a process and say what is installed there."""
_KNOCK_S = 10.0
_STORE_BYTES = 2**27
"""Memory for what is under way, by worker, in a cluster of our own."""
_SAME = ("miscomp", "torch", "numpy", "pillow", "opencv-python-headless", "constriction", "pillow-jxl-plugin")
"""What decides a result; Ray itself insists on its own release and Python's."""


def import_ray(options: EngineOptions) -> Any:
    """Ray, without its reports to its makers. Raises `MissingExtra`."""
    # All of these are read when it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if not options.address and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        # A cluster of our own listens to the whole network and runs what it is sent: it is to ask for a secret.
        # Ray before 2.52 does not.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise MissingExtra("ray", "ray", "the engine ray") from None
    return ray


@contextmanager
def connected(ray: Any, options: EngineOptions) -> Iterator[None]:
    """Join the cluster, and leave it; one that this process is in already is used and kept."""
    if ray.is_initialized():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        if options.address:
            _knock(options.address)
            ray.init(address=options.address, **quiet)
        else:
            jobs = options.jobs or os.cpu_count() or 1
            own = {"num_cpus": jobs, "include_dashboard": False, "object_store_memory": max(2, jobs) * _STORE_BYTES}
            ray.init(address="local", **own, **quiet)
        with _silent(ray), _own_sigterm(before):
            yield
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        if ray.is_initialized():
            raise
        where = f"the Ray cluster at {options.address}" if options.address else "a Ray cluster on this machine"
        raise UsageError(
            f"{where} cannot be used: {cause(error).rstrip('.')}. All its machines need the same releases of Python, "
            "Ray and miscomp; where it asks for a token, set RAY_AUTH_MODE=token and have it in ~/.ray/auth_token"
        ) from error
    finally:
        ray.shutdown()
        _restore(before)


@contextmanager
def _own_sigterm(before: Any) -> Iterator[None]:
    """Let SIGTERM do what it did: Ray has taken it for itself, and would leave where the driver stops and tidies up."""
    rays = signal.getsignal(signal.SIGTERM)
    _restore(before)
    try:
        yield
    finally:
        _restore(rays)


def _restore(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)


def _knock(address: str) -> None:
    """Raise `OSError` where nobody listens at `HOST:PORT`: Ray itself would go on asking for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


@contextmanager
def _silent(ray: Any) -> Iterator[None]:
    """Keep what Ray says of lost processes from stdout, which is for data; every loss is an outcome here."""
    module, name = ray._private.worker, "print_to_stdstream"
    usual = getattr(module, name, None)
    if usual is None:
        yield
        return
    setattr(module, name, lambda *_, **__: None)
    try:
        yield
    finally:
        setattr(module, name, usual)


def installed() -> dict[str, str]:
    """The versions that results depend on, as this process has them."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python} | {name: package_version(name) for name in _SAME}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of the cluster."""

    id: str
    host: str
    seats: int
    """Workers that it has room for."""


def nodes_of(ray: Any, gpus_per_worker: float) -> list[Node]:
    """The nodes that have room for a worker, by their name."""
    found = []
    for one in ray.nodes():
        has = one["Resources"]
        seats = int(has.get("CPU", 0))
        if gpus_per_worker:
            seats = min(seats, int(has.get("GPU", 0) / gpus_per_worker))
        if one["Alive"] and seats:
            found.append(Node(id=one["NodeID"], host=one["NodeManagerAddress"], seats=seats))
    return sorted(found, key=lambda node: (node.host, node.id))


def on_node(ray: Any, node: Node) -> Any:
    """How Ray is told to run something on this node and on no other."""
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id=node.id, soft=False)


def differences(ray: Any, nodes: Sequence[Node]) -> list[str | None]:
    """For each node why it cannot be used: other versions than here, or no miscomp; empty where it can.

    None for a node that is gone, which the cluster notices after a while.
    """
    ask = ray.remote(installed)
    asked = [ask.options(num_cpus=0, max_retries=0, scheduling_strategy=on_node(ray, node)).remote() for node in nodes]
    return [_difference(ray, node, answer) for node, answer in zip(nodes, asked, strict=True)]


def _difference(ray: Any, node: Node, answer: Any) -> str | None:
    here = installed()
    try:
        there = ray.get(answer, timeout=_ANSWER_S)
    except ray.exceptions.TaskUnschedulableError:
        return None
    except ray.exceptions.RayError as error:
        return (
            f"the node {node.host} cannot run miscomp: {cause(error)}; install miscomp {here['miscomp']} with the "
            "extra ray there"
        )
    other = [f"{name} {there.get(name)} (here {here[name]})" for name in here if there.get(name) != here[name]]
    if not other:
        return ""
    return f"the node {node.host} has {', '.join(other)}: its results would differ; install the same there"


def cause(error: Exception) -> str:
    """What happened, of what Ray says: its last line without advice; those before are its own calls."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].split(" Some common causes")[0][:300] if lines else type(error).__name__
