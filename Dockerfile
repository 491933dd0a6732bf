# The image of every pod: webserver, daemon, code server, runs and steps. Dagster wants one version in all of them, and
# a node pulls one image once. No compiler, no pip of its own, nothing writable, no root.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
COPY requirements-image.lock /build/
RUN python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --disable-pip-version-check --quiet \
      --require-hashes -r /build/requirements-image.lock

FROM build AS code
COPY pyproject.toml README.md /build/
COPY practicus_assets /build/practicus_assets
RUN python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --disable-pip-version-check --quiet \
      --no-deps --no-build-isolation --target /opt/code /build
COPY pipelines /opt/code/pipelines
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/code

# Without what no pod uses: the build backend, tests, C++ headers, an asynchronous twin of the Kubernetes client,
# Arrow's RPC (Flight), source maps of the web pages. Bytecode is made now: later the root is read-only.
FROM build AS venv
RUN python -m pip --python /opt/venv/bin/python uninstall --yes --quiet hatchling editables pathspec pluggy trove-classifiers \
 && python -m pip --python /opt/venv/bin/python check \
 && cd /opt/venv/lib/python3*/site-packages \
 && rm -rf kubernetes/aio pyarrow/include pyarrow/src pyarrow/*flight* \
 && find numpy pandas pyarrow -type d -name tests -prune -exec rm -rf {} + \
 && find dagster_webserver -name '*.map' -delete \
 && echo /opt/code > code.pth \
 && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash . \
 && /opt/venv/bin/python -W ignore -c 'import dagster_aws.s3, dagster_k8s, dagster_postgres, dagster_webserver, deltalake, pyarrow.dataset'

FROM ${BASE_IMAGE}
COPY --from=venv /opt/venv /opt/venv
COPY --from=code /opt/code /opt/code
ENV PATH=/opt/code/bin:/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DAGSTER_HOME=/opt/dagster \
    HOME=/tmp
WORKDIR /opt/dagster
USER 10001:10001
