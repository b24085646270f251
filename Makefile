.PHONY: help setup demo test lint bench

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/ -/'

setup: ## .venv with .venv/bin/tunesmith
	@tools/setup.sh

demo: setup ## tune a real model on a real dataset
	@tools/demo.sh

lint: setup ## style, types, directions of imports
	@tools/lint.sh

test: setup ## every test
	@tools/test.sh

bench: ## the figures of docs/benchmarks.md (hours; see bench/README.md)
	@tools/setup.sh trainer,test,bench
	@bench/all.sh
