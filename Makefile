# The words people type. CMake does the work: see CMakePresets.json for the kinds of build.
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
SOURCES := $(shell git ls-files 'src/*.c' 'src/*.h' 'include/*.h' 'tests/*.c' 'tests/*.h' 2>/dev/null)
export CTEST_PARALLEL_LEVEL ?= $(JOBS)

.PHONY: all build check test demo bench debug asan tsan coverage fuzz format lint docs install dist clean help

all: build

build:       ## the program, as build/freshet
	@cmake --preset release >/dev/null
	@cmake --build build -j $(JOBS) --target programs

check: build ## the unit tests
	@cmake --build build -j $(JOBS)
	@ctest --test-dir build --output-on-failure

test:        ## every test, with its own set-up
	@script/test

demo:        ## a pipeline to watch, with its own set-up
	@script/demo

bench: build ## the speed table
	@bench/run

debug asan tsan: ## an instrumented build and its unit tests
	@cmake --preset $@ >/dev/null && cmake --build --preset $@ -j $(JOBS) && ctest --preset $@

coverage:    ## which lines the unit tests run
	@cmake --preset coverage >/dev/null && cmake --build --preset coverage -j $(JOBS) && ctest --preset coverage
	@gcovr --root . --filter src/ --object-directory build-coverage --print-summary --html-details build-coverage/index.html

fuzz:        ## half a minute of libFuzzer for every target, other inputs each time
	@cmake --preset fuzz -DFRESHET_FUZZ_SECONDS=30 -DFRESHET_FUZZ_SEED=0 >/dev/null && cmake --build --preset fuzz -j $(JOBS) && ctest --preset fuzz -L fuzz

format:      ## lay out the code
	@$(or $(wildcard .venv/bin/clang-format),clang-format) -i $(SOURCES)

lint:        ## layout, layers, clang-tidy
	@script/test lint

docs: build  ## bring the generated pages of docs/ up to date
	@tools/check_docs.py build/freshet --write

install: build ## PREFIX=/usr/local, DESTDIR=
	@DESTDIR=$(DESTDIR) cmake --install build --prefix $(PREFIX) --strip

dist:        ## a tarball that runs from any folder
	@script/dist

clean:       ## every build folder; what script/bootstrap fetched stays
	@rm -rf build build-* dist compile_commands.json

help:        ## this list
	@sed -n 's/^\([a-z ]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20
