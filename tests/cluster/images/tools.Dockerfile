# An image without Python and without this package: a few static programs.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends busybox-static \
 && mkdir -p /made/bin /made/tmp \
 && cp /bin/busybox /made/bin/ \
 && chroot /made /bin/busybox --install -s /bin

FROM scratch
COPY --from=build /made /
USER 65532:65532
