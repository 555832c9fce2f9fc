"""The cluster's certificates and kubeconfigs, made anew for each cluster.

One CA signs everything. Client certificates carry the user as CN and the group as O; see kubernetes.io/docs/setup/best-practices/certificates.
"""

import base64
import datetime
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local_cluster.layout import API_PORT, API_SERVICE_IP, CLUSTER_DOMAIN, NODE, PKI, kubeconfig

LIFETIME = datetime.timedelta(days=365)
CLOCK_SKEW = datetime.timedelta(hours=1)

CLIENTS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "apiserver-kubelet": ("apiserver-kubelet", "system:masters"),
    "front-proxy": ("front-proxy", ""),
}
WITH_KUBECONFIG = ("admin", "controller-manager", "scheduler", "proxy", "kubelet")

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def name(common: str, organization: str = "") -> x509.Name:
    """A subject."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    """Signatures, and for a CA also certificates."""
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=sign_certificates, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Authority:
    """A CA that signs certificates valid from an hour before `now`."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    now: datetime.datetime

    @classmethod
    def fresh(cls, now: datetime.datetime) -> "Authority":
        """A new CA with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = name("wharfinger-local")
        builder = _builder(subject, subject, key, now).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(key_usage(sign_certificates=True), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()), now)

    def issue(self, subject: x509.Name, names: tuple[str, ...] = ()) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """A key and a certificate: for a server of these addresses and DNS names, or, where there are none, for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = _builder(subject, self.certificate.subject, key, self.now)
        builder = builder.add_extension(key_usage(sign_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
        return key, builder.sign(self.key, hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - CLOCK_SKEW).not_valid_after(now + LIFETIME)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def write(address: str) -> None:
    """Write CA, certificates, keys and kubeconfigs for a cluster whose API server listens at this address and on 127.0.0.1."""
    PKI.mkdir(parents=True, exist_ok=True)
    PKI.chmod(0o700)
    authority = Authority.fresh(datetime.datetime.now(datetime.UTC))
    _write_pair("ca", authority.key, authority.certificate)
    service = [f"kubernetes.default{end}" for end in ("", ".svc", f".svc.{CLUSTER_DOMAIN}")]
    api_names = ("127.0.0.1", address, API_SERVICE_IP, "localhost", "kubernetes", *service)
    _write_pair("apiserver", *authority.issue(name("kube-apiserver"), api_names))
    _write_pair("kubelet-server", *authority.issue(name(f"system:node:{NODE}", "system:nodes"), (address, NODE)))
    for who, (common, organization) in CLIENTS.items():
        _write_pair(who, *authority.issue(name(common, organization)))
    _write_private(PKI / "sa.key", _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    for who in WITH_KUBECONFIG:
        _write_private(kubeconfig(who), json.dumps(_kubeconfig(who, address), indent=1).encode())


def _kubeconfig(who: str, address: str) -> dict[str, object]:
    def inline(file: str) -> str:
        return base64.b64encode((PKI / file).read_bytes()).decode()

    cluster = {"server": f"https://{address}:{API_PORT}", "certificate-authority-data": inline("ca.crt")}
    user = {"client-certificate-data": inline(f"{who}.crt"), "client-key-data": inline(f"{who}.key")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "wharfinger-local", "cluster": cluster}],
        "users": [{"name": who, "user": user}],
        "contexts": [{"name": "wharfinger-local", "context": {"cluster": "wharfinger-local", "user": who}}],
        "current-context": "wharfinger-local",
    }


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def _write_pair(file: str, key: PrivateKey, certificate: x509.Certificate) -> None:
    (PKI / f"{file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_private(PKI / f"{file}.key", _pem(key))


def _write_private(path: Path, contents: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(contents)
