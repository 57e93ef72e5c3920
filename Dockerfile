# syntax=docker/dockerfile:1
# The base is an argument, so that an image can be built on whatever an organisation has approved; it needs python3 (3.11 or newer) with venv.
ARG BASE=python:3.12-slim
FROM ${BASE} AS dependencies
WORKDIR /src
# What builds and installs stays in this stage: the environment that ships holds neither pip nor a package cache.
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/aiops
# Dependencies first, in layers of their own: they are built again only when a lock changes.
COPY requirements/build.lock requirements/
RUN /opt/build/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/build.lock
COPY requirements/run.lock requirements/
RUN /opt/build/bin/python -m pip --python /opt/aiops/bin/python install --no-cache-dir --disable-pip-version-check \
    --require-hashes -r requirements/run.lock

FROM dependencies AS build
COPY pyproject.toml README.md LICENSE ./
COPY aiops/ aiops/
# The wheel takes the packs along.
COPY rules/ rules/
COPY runbooks/ runbooks/
RUN /opt/build/bin/python -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -w dist . \
 && /opt/build/bin/python -m pip --python /opt/aiops/bin/python install --no-cache-dir --disable-pip-version-check \
    --no-deps --no-index --target /opt/app dist/*.whl
# Kernels are compiled here, so that a start does not wait for a compiler. They belong to the place of their source: -P keeps the sources in this
# folder from being taken instead of those that ship.
ENV PYTHONPATH=/opt/app NUMBA_CACHE_DIR=/opt/kernels
RUN /opt/aiops/bin/python -P -m aiops.detect.kernels

FROM ${BASE}
COPY --from=dependencies /opt/aiops /opt/aiops
COPY --from=build /opt/app /opt/app
# Of these the daemon makes itself a copy in its state folder: numba takes compiled code only from a folder that it may write to.
COPY --from=build /opt/kernels /opt/kernels
COPY rules/ /etc/aiops/rules/
COPY runbooks/ /etc/aiops/runbooks/
ENV PATH=/opt/app/bin:/opt/aiops/bin:$PATH PYTHONPATH=/opt/app NUMBA_CACHE_DIR=/opt/kernels PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
WORKDIR /etc/aiops
EXPOSE 8080
ENTRYPOINT ["aiops"]
CMD ["run", "--config", "/etc/aiops/config/aiops.yaml"]
