# Everything that is done with tbcam from a checkout: `make help`.
PREFIX ?= /usr/local
VERSION ?= $(shell packaging/version)
T ?= 30s
N ?= 100000
FIRST ?= 0
D ?= 1h

programs := tbcam-send tbcam-view tbcam-window
rungs := test-lint test-unit test-cross test-programs test-pipewire test-recording test-vm test-calls test-cable test-packages
# -v names the tests that are skipped: fixtures/ladder looks for them. The files of
# sink/container take 10 minutes where the machine has other work.
gotest := go test -count=1 -v -timeout 20m
quiet := | fixtures/quiet
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s '	'

.PHONY: libraries
libraries: ## check for what building needs; install it where apt is
	@packaging/check-libraries

.PHONY: deps
deps: libraries ## install the Debian packages that building, testing and the demo need
	@fixtures/install-packages fixtures/packages

.PHONY: build
build: libraries ## build the three programs into bin/
	@mkdir -p bin
	@go build -ldflags '-X main.version=$(VERSION)' -o bin/ $(addprefix ./cmd/,$(programs))

.PHONY: demo
demo: build deps ## run sender, viewer and window on this machine; without a display, leave demo.png
	@fixtures/demo

.PHONY: test
test: deps ## run every rung that needs no second host, and print how long each took
	@fixtures/install-packages fixtures/vm/packages
	@MAKE='$(MAKE)' TBCAM_ARTEFACTS=$${TBCAM_ARTEFACTS:-$(CURDIR)/artefacts} fixtures/ladder $(rungs)

.PHONY: test-lint
test-lint: ## formatting, vet, static checks, scripts
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	@go vet ./... && go vet -tags vm,cable,power,base,services ./...
	@go tool staticcheck ./... && go tool staticcheck -tags vm,cable,power,base,services ./...
	@go mod tidy -diff
	@shellcheck -S warning .ci/run $$(grep -rlE '^#!.*(bash|/sh)' fixtures packaging)

.PHONY: test-unit
test-unit: ## unit tests, with the race detector but for the long simulations
	@$(gotest) -race $$(go list ./... | grep -vE '/cmd/internal/e2e/|/transport/tbsim') $(quiet)
	@$(gotest) -race -run 'BackAfterFaults|FewLargeCalls' ./transport/tbsim -schedules 100 $(quiet)
	@$(gotest) ./transport/tbsim -schedules 10000 $(quiet)
	@$(gotest) -run 'Middleman|EachByte|ManyFaults' ./transport/trust $(quiet)

.PHONY: soak-schedules
soak-schedules: ## run N (100000) fault schedules in virtual time, from seed FIRST (0) on, some 10 ms of CPU each
	@$(gotest) -timeout 0 -run BackAfterFaults ./transport/tbsim -schedules $(N) -first $(FIRST) $(quiet)

.PHONY: soak-strips
soak-strips: ## JPEGs in strips: all sizes up to 70x70 and 1500 random ones, also with the address sanitizer
	@$(gotest) -timeout 0 -run '^(TestStrips|TestParts)' ./codec -sweep $(quiet)
	@$(gotest) -timeout 0 -asan -run '^(TestStrips|TestParts|FuzzParts)' ./codec $(quiet)

.PHONY: test-cross
test-cross: ## compile for arm64, with the layouts of the kernel's structs
	@GOARCH=arm64 CGO_ENABLED=0 go vet $$(go list ./capture/... ./transport/... | grep -vE '/capture/(pipewire|mediadevices)$$') # those two use cgo
	@GOARCH=arm64 CGO_ENABLED=0 go test -c -o /dev/null ./capture/v4l2
	@echo "arm64 compiles"

.PHONY: test-programs
test-programs: build deps ## the programs on this machine: sockets, window under Xvfb, kills
	@TBCAM_BIN=$(CURDIR)/bin $(gotest) -skip '^TestRecording' ./cmd/internal/e2e/local $(quiet)

.PHONY: test-pipewire
test-pipewire: build deps ## cameras at PipeWire, published and read, in GStreamer, Chromium and Firefox, and doctor, in a desktop session of their own
	@TBCAM_BIN=$(CURDIR)/bin $(gotest) ./cmd/internal/e2e/desktop $(quiet)

.PHONY: test-recording
test-recording: build deps ## recordings: full and slow disks, signals, a minute of 1080p, lost power in a virtual machine
	@fixtures/install-packages fixtures/vm/packages
	@fixtures/vm/vm build
	@TBCAM_BIN=$(CURDIR)/bin $(gotest) -p 1 -run '^TestRecording' ./cmd/internal/e2e/local ./cmd/internal/e2e/power $(quiet)

.PHONY: soak
soak: build deps ## record 1080p30 for D (1h) and print what it took
	@TBCAM_BIN=$(CURDIR)/bin TBCAM_SOAK=$(D) $(gotest) -timeout 0 -run '^TestRecordingSoak$$' ./cmd/internal/e2e/local $(quiet)

.PHONY: test-vm
test-vm: build deps ## the programs with real kernel drivers, in a virtual machine
	@fixtures/install-packages fixtures/vm/packages
	@fixtures/vm/vm build
	@fixtures/vm/selftest
	@TBCAM_BIN=$(CURDIR)/bin fixtures/vm/gotest -skip '^TestCalls' $(quiet)
	@$(gotest) -tags power -run TestPowerCut ./sink/container $(quiet)

.PHONY: test-calls
test-calls: build deps ## the virtual camera and its applications, with v4l2loopback of Debian 12 and of Debian sid
	@fixtures/install-packages fixtures/vm/packages
	@fixtures/vm/vm build
	@TBCAM_BIN=$(CURDIR)/bin fixtures/vm/gotest -run '^TestCalls' $(quiet)
	@fixtures/vm/vm build --kernel sid && \
	  TBCAM_BIN=$(CURDIR)/bin fixtures/vm/gotest --kernel sid -run '^TestCalls|Loopback|Output|Writer|FormatThat|ColorOf' $(quiet) || \
	  { [ $$? = 77 ] && echo "not run: test-calls: Debian sid has another kernel now"; }

.PHONY: test-cable
test-cable: build deps ## the kernel's own USB4STREAM driver, on a simulated cable in a virtual machine
	@fixtures/install-packages fixtures/vm/packages
	@fixtures/tbhost/selftest/run && TBCAM_BIN=$(CURDIR)/bin fixtures/vm/cabletest $(quiet) || \
	  { [ $$? = 77 ] && echo "not run: test-cable: sid's kernel no longer fits fixtures/tbhost"; }

.PHONY: test-packages
test-packages: build ## packages in a clean tree of Debian 12: install, use, upgrade, purge; the rpm's content; uninstall
	@fixtures/install-packages packaging/packages
	@packaging/selftest

.PHONY: soak-cable
soak-cable: ## test-cable with each fault 1000 times: hours
	@CABLE_ROUNDS=$${CABLE_ROUNDS:-1000} CABLE_TIMEOUT=$${CABLE_TIMEOUT:-30000} $(MAKE) --no-print-directory test-cable

.PHONY: soak-services
soak-services: build deps ## services of a user over the kernel's own driver, through a replug and suspend (minutes)
	@fixtures/install-packages fixtures/vm/packages
	@fixtures/tbhost/selftest/run && TBCAM_SERVICES=1 TBCAM_BIN=$(CURDIR)/bin fixtures/vm/cabletest

.PHONY: vm
vm: ## run CMD='...' in the virtual machine
	@fixtures/install-packages fixtures/vm/packages
	@fixtures/vm/vm build
	@fixtures/vm/vm run -- sh -c '$(CMD)'

.PHONY: bench
bench: bench-loops bench-programs bench-microphone ## all benchmarks, with their yardsticks

.PHONY: bench-loops
bench-loops: deps ## benchmarks of single calls, with their yardsticks
	@go test -run '^$$' -bench . -benchmem ./transport/... ./codec/... ./capture/... ./sink/record/... ./sink/hub

.PHONY: bench-programs
bench-programs: build deps ## whole programs at a camera's pace, beside GStreamer's, FFmpeg's and mpv's (15 min)
	@go build -o bin/ ./cmd/internal/bench && bin/bench

.PHONY: bench-microphone
bench-microphone: build deps ## from the far microphone to an application, beside a loopback of PipeWire (1 min)
	@TBCAM_BIN=$(CURDIR)/bin go test -run '^$$' -bench Microphone ./cmd/internal/e2e/desktop

.PHONY: bench-docs
bench-docs: build deps ## bench-programs, which renews docs/performance.md and its graphs
	@go build -o bin/ ./cmd/internal/bench && bin/bench -docs docs

.PHONY: fuzz
fuzz: ## run each fuzz target for T (30s)
	@for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(T) -fuzzminimizetime 5x $$p || exit 1; \
	  done; \
	done

.PHONY: deb
deb: build ## package the programs for this release of Debian or Ubuntu: bin/tbcam_*.deb
	@fixtures/install-packages <(echo dpkg-dev)
	@VERSION='$(VERSION)' packaging/build deb

.PHONY: rpm
rpm: build ## package the programs for Fedora: bin/tbcam-*.rpm
	@VERSION='$(VERSION)' packaging/build rpm

share := $(DESTDIR)$(PREFIX)/share
completions := $(foreach p,tbcam-send tbcam-view,bash-completion/completions/$(p) zsh/site-functions/_$(p) fish/vendor_completions.d/$(p).fish)

units := $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/,system/tbcam-record.service user/tbcam-send.service user/tbcam-view.service)
rule := $(DESTDIR)$(PREFIX)/lib/udev/rules.d/70-tbcam.rules

.PHONY: install
install: ## install programs, man pages, completion, menu entry, units and udev rule below DESTDIR and PREFIX
	@test -x bin/tbcam-window || $(MAKE) --no-print-directory build
	install -D -t $(DESTDIR)$(PREFIX)/bin $(addprefix bin/,tbcam-send tbcam-view)
	install -D -t $(DESTDIR)$(PREFIX)/libexec/tbcam bin/tbcam-window
	@install -d $(sort $(dir $(addprefix $(share)/,$(completions)))) $(share)/man/man1
	@for p in tbcam-send tbcam-view; do \
	  bin/$$p man $(share)/man/man1 && \
	  bin/$$p completion bash >$(share)/bash-completion/completions/$$p && \
	  bin/$$p completion zsh >$(share)/zsh/site-functions/_$$p && \
	  bin/$$p completion fish >$(share)/fish/vendor_completions.d/$$p.fish || exit 1; \
	done
	install -D -m 644 -t $(share)/man/man1 docs/tbcam-window.1
	install -D -m 644 -t $(share)/applications packaging/tbcam.desktop
	install -D -m 644 -t $(share)/icons/hicolor/scalable/apps packaging/tbcam.svg
	install -D -m 644 packaging/udev/70-tbcam.rules $(rule)
	install -d $(sort $(dir $(units)))
	@for u in $(units); do sed 's|/usr/local/bin|$(PREFIX)/bin|' packaging/systemd/$${u##*/} >$$u || exit 1; done

.PHONY: uninstall
uninstall: ## remove what install installed; `tbcam-view setup --remove` first
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,tbcam-send tbcam-view) $(addprefix $(share)/,$(completions))
	rm -rf $(DESTDIR)$(PREFIX)/libexec/tbcam
	rm -f $(foreach p,$(programs),$(share)/man/man1/$(p).1 $(share)/man/man1/$(p)-*.1)
	rm -f $(share)/applications/tbcam.desktop $(share)/icons/hicolor/scalable/apps/tbcam.svg
	rm -f $(units) $(rule)

.PHONY: clean
clean: ## remove what was built here
	rm -rf bin artefacts demo.png
