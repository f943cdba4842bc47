# Everything here is a command of `embedlab`; make only builds the environment first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: course test lab evidence mutants anywhere doctor benchmarks clean

course: .venv/ready
	$(BIN)/embedlab course

test: .venv/ready
	$(BIN)/embedlab test

lab: .venv/ready
	$(BIN)/embedlab lab

evidence: .venv/ready
	$(BIN)/embedlab evidence

mutants: .venv/ready
	$(BIN)/embedlab mutants

anywhere: .venv/ready
	$(BIN)/embedlab anywhere $(if $(WHOLE),--whole)

doctor: .venv/ready
	$(BIN)/embedlab doctor

benchmarks: .venv/ready
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt -e ".[benchmarks]"
	$(BIN)/python benchmarks/bench_score.py
	$(BIN)/python benchmarks/bench_simclr.py
	$(BIN)/python benchmarks/bench_simclr.py --fashion
	$(BIN)/python benchmarks/bench_vit.py
	$(BIN)/python benchmarks/bench_clip.py
	$(BIN)/python benchmarks/bench_embed.py
	$(BIN)/python benchmarks/bench_text.py
	$(BIN)/python benchmarks/bench_arithmetic.py
	$(BIN)/python benchmarks/bench_threads.py

# uv installs in half a minute what takes pip minutes. UV_TORCH_BACKEND=cpu gets the small torch.
.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v < (3, 14) and f"Python 3.11, 3.12 or 3.13 is needed, {sys.executable} is {v.major}.{v.minor}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt -e .
	touch $@

clean:
	rm -rf .venv build
