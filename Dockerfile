# syntax=docker/dockerfile:1
# The base is an argument, so that an image can be built on whatever an organisation has approved; it needs python3 (3.11 or newer) with venv.
ARG BASE=python:3.12-slim
FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/aiops
COPY requirements/ requirements/
RUN /opt/aiops/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/build.lock -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY aiops/ aiops/
RUN /opt/aiops/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .
# Kernels are compiled here, so that a start does not wait for a compiler.
ENV NUMBA_CACHE_DIR=/opt/aiops/kernels
RUN /opt/aiops/bin/python -m aiops.detect.kernels

FROM ${BASE}
COPY --from=build /opt/aiops /opt/aiops
COPY rules/ /etc/aiops/rules/
COPY runbooks/ /etc/aiops/runbooks/
ENV PATH=/opt/aiops/bin:$PATH NUMBA_CACHE_DIR=/opt/aiops/kernels PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
WORKDIR /etc/aiops
EXPOSE 8080
ENTRYPOINT ["aiops"]
CMD ["run", "--config", "/etc/aiops/config/aiops.yaml"]
