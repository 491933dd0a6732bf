# The product's image with what its users add: their workflows, here the examples, and packages for notebooks and Sail.
ARG BASE_IMAGE=python:3.12-slim
ARG PRACTICUS_IMAGE

FROM ${BASE_IMAGE} AS build
COPY requirements-dev.lock /build/
RUN sed -n 's/^\([A-Za-z0-9_.-]*==.*[^ \\]\) *\\*$/\1/p' /build/requirements-dev.lock > /build/pins.txt \
 && python -m pip install --no-cache-dir --disable-pip-version-check --quiet --target /opt/notebooks \
      -c /build/pins.txt ipykernel jupytext nbconvert papermill \
 && python -m pip install --no-cache-dir --disable-pip-version-check --quiet --target /opt/spark --no-deps \
      -c /build/pins.txt pysail pyspark-client googleapis-common-protos grpcio-status zstandard # the rest is there

FROM ${PRACTICUS_IMAGE}
USER root
COPY --from=build /opt/notebooks /opt/notebooks
COPY --from=build /opt/spark /opt/spark
COPY examples /opt/code/examples
RUN cd /opt/venv/lib/python3*/site-packages && printf '/opt/notebooks\n/opt/spark\n' > added.pth
ENV JUPYTER_PATH=/opt/notebooks/share/jupyter
USER 10001:10001
