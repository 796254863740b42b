# Everything a newcomer needs: `make up` and `make test`. No other step comes before them.
PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
CONFIG ?= examples/local.yaml
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
INSTALL := $(PIP) install --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help up test lint types layers unit bench format clean train-default-model train-upscaler train-denoiser gallery

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

up: $(VENV)/.installed-app ## Install, start everything on this machine, render samples into out/, serve
	@$(BIN)/atelier up --config $(CONFIG) --host $(HOST) --port $(PORT) --demo out

test: lint types layers unit ## Lint, types, layers and every test

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet . && echo "lint: ok"

types: $(VENV)/.installed-dev
	@$(BIN)/mypy

layers: $(VENV)/.installed-dev
	@$(BIN)/lint-imports --no-cache

unit: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -q

bench: $(VENV)/.installed-dev ## Measure speed and memory against named baselines
	@$(BIN)/python -m benchmarks $(ONLY)

format: $(VENV)/.installed-dev ## Rewrite files the way `make lint` wants them
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

train-default-model: $(VENV)/.installed-dev ## Train the embedded text-to-image model further (hours; resumes)
	@$(BIN)/python -m models.training.pictures
	@$(BIN)/python -m models.training.autoencoder --steps 850
	@$(BIN)/python -m models.training.latents --pictures 48000
	@$(BIN)/python -m models.training.diffusion --minutes 60
	@$(BIN)/python -m models.training.export
	@$(BIN)/python -m models.training.classifier --steps 1800
	@$(BIN)/python -m models.training.evaluate

train-upscaler: $(VENV)/.installed-dev ## Train the 2x upscaler again (resumes)
	@$(BIN)/python -m models.upscaler_training.train_upscaler
	@$(BIN)/python -m models.upscaler_training.export_upscaler

train-denoiser: $(VENV)/.installed-dev ## Train the denoiser of interface art again (resumes)
	@$(BIN)/python -m models.upscaler_training.train_denoiser
	@$(BIN)/python -m models.upscaler_training.export_denoiser

gallery: $(VENV)/.installed-dev ## Draw the contact sheets: the specialists, the embedded model
	@$(BIN)/python -m models.gallery
	@$(BIN)/python -m models.training.gallery

clean: ## Remove the virtual environment and what was built
	rm -rf $(VENV) out build dist

$(VENV)/.installed-app: pyproject.toml constraints.txt
	@sh scripts/preflight.sh "$(PYTHON)" "$(VENV)"
	@echo "installing into $(VENV) (a few minutes the first time) ..."
	@$(INSTALL) --editable '.[models]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-app
	@echo "installing what the tests need ..."
	@$(INSTALL) --editable '.[models,dev]'
	@touch $@
