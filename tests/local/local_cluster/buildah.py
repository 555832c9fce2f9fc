"""Dockerfiles built without Docker: Debian's buildah in a chroot, on a base image that is made of Debian packages.

The base carries the name of the official python image that it stands for, so that one Dockerfile serves both. A build sees this machine's
settings of pip (index, proxy, CA bundle) and a cache of downloads in a folder that is mounted for it, of which nothing is in the image.
"""

import configparser
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local_cluster import cache, packages
from local_cluster.progress import LaunchError, step

MOUNT = "/run/wharfinger-build"
CA = "/etc/ssl/certs/ca-certificates.crt"
MOST_IMAGES = 150
BUILD_SECONDS = 30 * 60
BASE = "python:3.13-slim-trixie"
SUITE = "trixie"
VARIANT = "apt"
BASE_PACKAGES = "python3,python3-pip,python3-venv,ca-certificates,netbase,tzdata"
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
# As in the official image: apt (with which libstdc++ comes), `python` and `pip` on the path, and pip allowed to install.
CUSTOMIZE = (
    'rm "$1"/usr/lib/python3*/EXTERNALLY-MANAGED; '
    'for name in python python3; do ln -s /usr/bin/python3 "$1/usr/local/bin/$name"; done; '
    f'ln -s {MOUNT}/pip.conf "$1/etc/pip.conf"; '
    'rm -rf "$1"/var/cache/apt "$1"/var/lib/apt/lists/*'
)
ENVIRONMENT = ("PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin", "LANG=C.UTF-8")
KEPT_OF_PIP = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")


def build(dockerfile: Path, target: str | None, tag: str, context: Path, archive: Path) -> None:
    """Build an image and write it as a docker-archive."""
    packages.ensure(packages.IMAGES)
    _bound_storage()
    _ensure_base()
    seen = _build_folder()
    command = [
        "build",
        "--isolation=chroot",
        "--layers",
        "--pull-never",
        f"--volume={seen}:{MOUNT}",
        f"--file={dockerfile}",
        f"--tag={tag}",
    ]
    with step(f"building the image {tag}", "up to 2 min where nothing is cached"):
        buildah(*command, *([f"--target={target}"] if target else []), str(context))
    with step(f"writing the image {tag}"):
        buildah("push", "--quiet", tag, f"docker-archive:{archive}:{tag}")


def base_key() -> str:
    """A hash of all that decides what the base image is."""
    return cache.key([VARIANT, SUITE, BASE_PACKAGES, *LEFT_OUT, CUSTOMIZE, *ENVIRONMENT])


def buildah(*arguments: str) -> str:
    """Run buildah on the storage in the cache, in a mount namespace of its own: it leaves a mount behind otherwise."""
    storage = cache.folder() / "buildah"
    place = (f"--root={storage}/root", f"--runroot={storage}/run", "--storage-driver=overlay")
    try:
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "buildah", *place, *arguments],
            capture_output=True, text=True, check=False, timeout=BUILD_SECONDS, env=os.environ | {"TMPDIR": str(_temporary())},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LaunchError(f"buildah {arguments[0]} took more than {BUILD_SECONDS // 60} min") from None
    if done.returncode:
        raise LaunchError(
            f"buildah {' '.join(arguments[:1])} failed:\n{done.stdout.strip()[-2000:]}\n{done.stderr.strip()[-2000:]}".rstrip()
        )
    return done.stdout


def pip_conf(settings: Mapping[str, str], *, has_ca: bool) -> str:
    """The pip.conf that builds see: this machine's index, proxy and patience, the CA bundle and the cache under the mount."""
    parser = configparser.RawConfigParser()
    wanted = {name: value for name, value in settings.items() if name in KEPT_OF_PIP}
    wanted |= {"cache-dir": f"{MOUNT}/pip", "disable-pip-version-check": "true", "root-user-action": "ignore"}
    if has_ca:
        wanted["cert"] = f"{MOUNT}/ca.crt"
    parser.read_dict({"global": wanted})
    out = io.StringIO()
    parser.write(out)
    return out.getvalue()


def pip_settings() -> dict[str, str]:
    """pip's settings on this machine, whether from files or the environment; the environment's win, as in pip."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    found: dict[str, str] = {}
    from_environment: dict[str, str] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        (from_environment if section == ":env:" else found)[key] = value.strip("'\"")
    return found | from_environment


def _build_folder() -> Path:
    folder = cache.folder() / "build"
    (folder / "pip").mkdir(parents=True, exist_ok=True)
    bundle = Path(os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or CA)
    if bundle.is_file():
        shutil.copyfile(bundle, folder / "ca.crt")
    conf = folder / "pip.conf"
    conf.touch(mode=0o600)
    conf.write_text(pip_conf(pip_settings(), has_ca=bundle.is_file()))
    return folder


def _ensure_base() -> None:
    label = f"wharfinger.base={base_key()}"
    if buildah("images", "--quiet", "--filter", f"label={label}").strip():
        return
    tar = cache.obtain("base", base_key(), _bootstrap)
    with step("importing the base image"):
        container = buildah("from", "scratch").strip()
        buildah("add", container, str(tar), "/")
        buildah("config", *(f"--env={e}" for e in ENVIRONMENT), "--cmd=python3", f"--label={label}", container)
        buildah("commit", "--rm", "--quiet", container, f"docker.io/library/{BASE}")


def _bootstrap(target: Path) -> None:
    options = [f"--variant={VARIANT}", f"--include={BASE_PACKAGES}", *(f"--dpkgopt=path-exclude={p}" for p in LEFT_OUT)]
    command = ["mmdebstrap", "--quiet", "--format=tar", *options, f"--customize-hook={CUSTOMIZE}", SUITE, str(target)]
    with step("making a base image from Debian packages", "about 80 s"):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS, env=os.environ | {"TMPDIR": str(_temporary())}
        )
    if done.returncode:
        raise LaunchError(f"mmdebstrap failed:\n{done.stderr.strip()[-2000:]}")


def _temporary() -> Path:
    folder = cache.folder() / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _bound_storage() -> None:
    storage = cache.folder() / "buildah"
    listed = storage / "root" / "overlay-images" / "images.json"
    if listed.exists() and listed.read_text().count('"id"') > MOST_IMAGES:
        shutil.rmtree(storage)
