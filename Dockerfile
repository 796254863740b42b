# The image of every Atelier pod: Ray head, Ray workers, jobs. Weights are not inside; they come from a volume.
#
#   docker build --build-arg PYTHON_DIGEST=sha256:... -t atelier:0.1.0 .
#
# PYTHON_DIGEST has no default, so that no build depends on where a tag points on the day:
#   docker buildx imagetools inspect python:3.11-slim-bookworm --format '{{.Manifest.Digest}}'
# torch from PyPI brings its CUDA libraries along; for CPU-only nodes build with
#   --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ARG PYTHON_DIGEST

FROM python:3.11-slim-bookworm@${PYTHON_DIGEST} AS build
ARG TORCH_INDEX_URL=https://pypi.org/simple
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv /opt/atelier
ENV PATH=/opt/atelier/bin:$PATH
COPY pyproject.toml constraints.txt README.md LICENSE ./
# Dependencies before the code: a change of the code does not install torch again.
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = p['optional-dependencies']; \
print(*p['dependencies'], *extras['models'], *extras['audits'], sep='\n')" > requirements.txt \
 && pip install --constraint constraints.txt --extra-index-url "${TORCH_INDEX_URL}" --requirement requirements.txt
COPY serve ./serve
COPY deployments ./deployments
COPY routing ./routing
COPY loadtests ./loadtests
COPY audits ./audits
COPY batches ./batches
RUN pip install --no-deps . && pip check

FROM python:3.11-slim-bookworm@${PYTHON_DIGEST} AS runtime
RUN groupadd --gid 1000 atelier \
 && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /tmp/home --shell /usr/sbin/nologin atelier
COPY --from=build /opt/atelier /opt/atelier
# KubeRay starts containers with `bash -lc`, and a login shell of Debian resets PATH.
RUN for program in ray serve atelier python python3; do ln -sf "/opt/atelier/bin/${program}" "/usr/local/bin/${program}"; done
ENV PATH=/opt/atelier/bin:$PATH \
    HOME=/tmp/home \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0
WORKDIR /tmp
USER 1000:1000
EXPOSE 8000
CMD ["atelier", "--help"]
