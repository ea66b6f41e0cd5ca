# SPDX-License-Identifier: BSD-3-Clause
#
# The verbs. Meson and Ninja do the building (see tools/build), tools/check
# the testing; this file only gives both short names.

ARGS ?= -p 11211
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
STORM_SECONDS ?= 600
CHURN_CONNECTS ?= 1000000
KILLS ?= 100

.PHONY: help run build test unit wire chaos asan tsan fuzz tidy format \
	bench speed churn kills soak storm install clean

help:
	@echo 'make run      build, and serve on 127.0.0.1:11211 (ARGS="-m 256")'
	@echo 'make test     everything that proves it works, about 20 minutes'
	@echo 'make unit     unit tests only'
	@echo 'make wire     black-box tests with real clients only'
	@echo 'make chaos    storms, resets, slow peers, failing system calls'
	@echo 'make asan     unit and black-box tests under ASan and UBSan'
	@echo 'make tsan     the same under ThreadSanitizer'
	@echo 'make fuzz     each fuzz target for FUZZ_SECONDS ($(FUZZ_SECONDS))'
	@echo 'make tidy     the rules of the tree'
	@echo 'make format   lay the C files out as .clang-format says'
	@echo 'make speed    count instructions (ACCEPT=1: as the new baseline)'
	@echo 'make bench    figures beside its peers, into bench/RESULTS.md, in'
	@echo '              about 35 minutes; PARTS="g1 g5": only these parts'
	@echo 'make soak     mixed load for SOAK_SECONDS ($(SOAK_SECONDS))'
	@echo 'make storm    connection storm for STORM_SECONDS ($(STORM_SECONDS))'
	@echo 'make churn    small connections, CHURN_CONNECTS ($(CHURN_CONNECTS))'
	@echo 'make kills    kill -9 under load, KILLS times ($(KILLS))'
	@echo 'make install  the server, under DESTDIR and /usr/local'
	@echo 'make clean    remove build/'

run:
	@tools/deps build
	@tools/build release dozo
	@tools/run $(ARGS)

build:
	@tools/deps build
	@tools/build release dozo

test:
	@tools/check

unit wire chaos asan tsan tidy:
	@tools/check $@

bench:
	@PARTS="$(PARTS)" tools/check bench

fuzz:
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/check fuzz

speed:
	@ACCEPT=$(ACCEPT) tools/check speed

soak:
	@SOAK_SECONDS=$(SOAK_SECONDS) tools/check soak

storm:
	@STORM_SECONDS=$(STORM_SECONDS) tools/check storm

churn:
	@CHURN_CONNECTS=$(CHURN_CONNECTS) tools/check churn

kills:
	@KILLS=$(KILLS) tools/check kills

format:
	@tools/deps test
	@git ls-files -co --exclude-standard -- '*.c' '*.h' | \
		xargs -r clang-format -i

install: build
	@meson install -C build/release --no-rebuild

clean:
	rm -rf build
