"""The process's environment variables."""

import dataclasses

import pytest

from gateway_process import gateway_process
from wharfinger_gateway.settings import Address, Settings, SettingsError


def test_every_variable_has_a_usable_default() -> None:
    assert Settings.from_environment({}) == Settings(
        system_namespace="", listen=Address("0.0.0.0", 8080), probe_listen=Address("0.0.0.0", 8081), replica_address="",  # noqa: S104
        drain_seconds=30, log_level="INFO", audit_argument_bytes=0, export_traces=False
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [("127.0.0.1:80", Address("127.0.0.1", 80), True), ("[::1]:80", Address("::1", 80), True), ("[::]:0", Address("::", 0), False)],
)
def test_an_address_is_host_and_port(text: str, address: Address, loopback: bool) -> None:
    listen = Settings.from_environment({"WHARFINGER_LISTEN": text}).listen
    assert (listen, listen.loopback) == (address, loopback)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("WHARFINGER_LISTEN", value) for value in ("8080", ":8080", "x:", "x:-1", "x:65536", "x:\uff11")),
        *(("WHARFINGER_DRAIN_SECONDS", value) for value in ("-1", "x", "1.5", "4000")),
        *(("WHARFINGER_AUDIT_ARGUMENT_BYTES", value) for value in ("-1", "yes", "65537")),
        ("WHARFINGER_LOG_LEVEL", "loud"),
    ],
)
def test_an_unusable_value_is_refused_by_the_variables_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(
    ("variables", "exports"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
    ],
)
def test_traces_are_exported_where_the_standard_variables_ask_for_it(variables: dict[str, str], exports: bool) -> None:
    assert Settings.from_environment(variables).export_traces is exports


def test_a_protocol_that_is_not_spoken_is_refused_with_the_one_that_is() -> None:
    with pytest.raises(SettingsError, match=r"OTEL_EXPORTER_OTLP_PROTOCOL='grpc': only http/protobuf"):
        Settings.from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


async def test_help_names_every_variable() -> None:
    async with gateway_process(["-m", "wharfinger_gateway", "--help"]) as running:
        assert await running.ended() == 0
    named = {line.strip() for line in running.out if line.strip().startswith(("WHARFINGER_", "OTEL_"))}
    assert len(named) == len(dataclasses.fields(Settings))


async def test_a_bad_variable_ends_the_start_with_one_line() -> None:
    async with gateway_process(["-m", "wharfinger_gateway"], {"WHARFINGER_LISTEN": "8080"}) as running:
        assert await running.ended() == 1
    assert running.err == ["wharfinger-gateway: WHARFINGER_LISTEN='8080' is not HOST:PORT such as 0.0.0.0:8080 or [::]:8080"]


async def test_no_way_to_the_cluster_ends_the_start_with_what_to_set() -> None:
    async with gateway_process(["-m", "wharfinger_gateway", "--kubeconfig", "/nowhere"]) as running:
        assert await running.ended() == 1
    assert running.err[-1].startswith("wharfinger-gateway: kubeconfig /nowhere")
    assert not any("Traceback" in line for line in running.err)
