"""The certificates of a cluster."""

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local_cluster import pki
from local_cluster.layout import API_PORT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pki")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pki, "PKI", place)
        patch.setattr(pki, "kubeconfig", lambda who: place / f"{who}.kubeconfig")
        pki.write("192.0.2.2")
    return place


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_the_api_server_s_certificate_covers_every_way_to_it(folder: Path) -> None:
    names = certificate(folder, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert {str(a) for a in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "192.0.2.2", "10.96.0.1"}
    assert {"localhost", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"} <= set(names.get_values_for_type(x509.DNSName))


@pytest.mark.parametrize("name", [*pki.CLIENTS, "apiserver", "kubelet-server"])
def test_every_certificate_is_the_ca_s_and_serves_one_side_only(folder: Path, name: str) -> None:
    leaf = certificate(folder, name)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    leaf.verify_directly_issued_by(certificate(folder, "ca"))
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH if name in pki.CLIENTS else ExtendedKeyUsageOID.SERVER_AUTH]


def test_the_administrator_is_in_the_group_that_may_do_all(folder: Path) -> None:
    groups = certificate(folder, "admin").subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)

    assert [g.value for g in groups] == ["system:masters"]


def test_keys_and_kubeconfigs_are_for_their_owner_only(folder: Path) -> None:
    private = [*folder.glob("*.key"), *folder.glob("*.kubeconfig")]

    assert len(private) > 10
    assert {p.stat().st_mode & 0o777 for p in private} == {0o600}


def test_a_kubeconfig_needs_no_other_file(folder: Path) -> None:
    config = json.loads((folder / "admin.kubeconfig").read_text())

    assert config["clusters"][0]["cluster"]["server"] == f"https://192.0.2.2:{API_PORT}"
    assert str(folder) not in json.dumps(config)
