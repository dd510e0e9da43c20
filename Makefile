# Two commands: `make demo` and `make test`. Each does its own set-up.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: test lint demo bench measured docs clean

test: $(VENV)/test.stamp
	@PATH="$$PATH:/usr/sbin" scripts/need curl=curl nc=netcat-openbsd h2load=nghttp2-client haproxy=haproxy nginx=nginx-light openssl=openssl \
		redis-server=redis-server memcached=memcached node=nodejs certutil=libnss3-tools cc='gcc libc6-dev' \
		lego=lego pebble=pebble pebble-challtestsrv=pebble knotd=knot testssl=testssl.sh slowhttptest=slowhttptest nft=nftables ip=iproute2
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder -rR  # half of the time they wait for processes and clocks

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Random conversations for the engines, MINUTES long (5).
fuzz: $(VENV)/test.stamp
	@PYTHONPATH=src:. $(BIN)/python -m tests.fuzz $(MINUTES)

# `make demo CHECK=1` starts it on a free port, walks through it as its clients do, and exits 0 or 1.
demo: $(VENV)/demo.stamp
	@exec $(BIN)/python -m examples.campus$(if $(CHECK),.check --start)

# `make bench BENCH="asgi wsgi"` measures two of the works.
bench: $(VENV)/bench.stamp
	@scripts/need cc='gcc libc6-dev' wrk=wrk h2load=nghttp2-client openssl=openssl slowhttptest=slowhttptest
	@PATH="$$PATH:/usr/sbin" scripts/need nginx=nginx-light haproxy=haproxy varnishd=varnish nft=nftables || true
	$(BIN)/python -m bench $(BENCH)

# Measures anew what docs/concurrency.md shows, or `make measured MEASURED=models-io`.
measured: $(VENV)/charts.stamp $(VENV)/demo.stamp
	$(BIN)/python docs/measure.py $(MEASURED)
	$(BIN)/python docs/make.py

# The pages that are drawn from the code.
docs: $(VENV)/demo.stamp
	$(BIN)/python docs/make.py

# A virtual environment with one of the extras of pyproject.toml.
$(VENV)/%.stamp: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON). On Debian: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.13" >&2; exit 1; }
	@PYTHON=$(PYTHON) scripts/need python:ensurepip=python3-venv
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[$*]'
	@touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
