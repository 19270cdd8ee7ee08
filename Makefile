# SPDX-License-Identifier: GPL-2.0-only
#
# Every verb of the project; "make help" lists them. What is built for a kernel
# goes to build/<release>, what is built for the host's users to build/user.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
# A line a file, or with V=1 each command.
V ?= 0
Q := $(if $(filter 0,$(V)),@)
silent = $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
tell = @$(if $(filter 0,$(V)$(silent)),printf '  %-7s %s\n' $(1),:)
# Root has these in his PATH, but not after "su".
export PATH := $(PATH):/usr/sbin:/sbin

$(if $(word 2,$(CURDIR)$(DESTDIR)$(PREFIX)),$(error make splits words at spaces: a path has one))
# Make -C would take it from another folder.
override DESTDIR := $(if $(DESTDIR),$(abspath $(DESTDIR)))

vm := selftests/vm
user := $(CURDIR)/build/user
# One relative to this folder is that in every script.
override ZCOPY_CACHE := $(if $(ZCOPY_CACHE),$(abspath $(ZCOPY_CACHE)))
export KERNEL CMD TESTS DEBUG FULL SLOWDOWN ZCOPY_CACHE

# The debug kernel, and all that waits for it, is so many times slower.
SLOWDOWN := $(if $(DEBUG),8,1)

# The VM's kernel, unpacked (with DEBUG built) in the cache on first use. A
# variable of make reaches this shell no other way.
vm_kernel = $(eval vm_kernel := $$(or $$(shell KERNEL='$$(KERNEL)' ZCOPY_CACHE='$$(ZCOPY_CACHE)' $(vm)/$(if $(DEBUG),debug-)kernel.sh),$$(error no kernel for the VM)))$(vm_kernel)
vm_build = build/$(shell cat $(vm_kernel)/release)

# The kernel that modules are built for: the one named, else the running one.
ifneq ($(KERNEL),)
KDIR = $(vm_kernel)/build
else
KDIR = /lib/modules/$(shell uname -r)/build
endif
# Headers of another suite of Debian are used in a root tree of it.
inside = $(if $(wildcard $(dir $(KDIR))release),$(patsubst %,$(vm)/inside.sh %,$(realpath $(dir $(KDIR))root)))
missing_headers = $(shell packaging/headers.sh '$(KDIR)' '$(shell uname -r)')
release = $(eval release := $$(if $$(missing_headers),$$(error $$(missing_headers)))$$(shell \
	cat $$(KDIR)/include/config/kernel.release))$(release)
objects = $(CURDIR)/build/$(release)

.DEFAULT_GOAL := all
.PHONY: help deps all modules lib tests tests-list demo check check-debug vm bench \
	install uninstall deb check-packages kernel-tree check-tree clean

all: modules lib

define help
Verbs:
  make              build module, library and command for the running kernel
  make demo         send files from VM to VM, and compare what methods cost
  make check        static checks, then every test in a VM
  make check-debug  the tests in a kernel with KASAN, lockdep and kmemleak, which
                    is built on first use (13 minutes on two processors)
  make vm           a shell in a VM with the module loaded
  make vm CMD='...' run one command there; its status becomes make's
  make style        static checks alone
  make bench        count instructions and copies, and compare times, in VMs
  make modules      build the module alone
  make lib          build the library and the zcopy command alone
  make tests        build the tests alone
  make deps         install what demo, check, vm and style need, with apt
  make install      install module, library, command, headers and manuals
  make uninstall    remove what install put there, of every kernel
  make deb          build Debian packages into build/deb
  make check-packages
                    install these in fresh systems of Debian, boot those in VMs with
                    their own kernels, try them there, and purge them
  make kernel-tree TREE=<folder>
                    put the module into an unpacked kernel source
  make check-tree   do so with Debian's linux-source-6.12, and build it there
  make clean        remove what was built; the cache stays
  make help         print this

Variables:
  KERNEL=<version>  a Debian kernel, for demo, check, vm and modules: whole, like
                    6.12.1+deb13, or the newest that begins so, like 7.3; of
                    another suite like 6.12/trixie; or newest, of all that Debian
                    has. Default: in the VM the newest 6.12 of this host's suite
  KERNEL=all        check: one after the other, with a table at the end
  KDIR=<folder>     kernel headers to build and install the module with
  DEBUG=yes         vm: in the kernel of check-debug
  FULL=1            check-debug: the slow tests too (two hours); there and in check
                    races are tried ten times as often
  TESTS='...'       check, check-debug: these tests and groups of tests only, like
                    'queue release/sync nginx' (see "make tests-list")
  BENCH='...'       bench: options and names, like '-r 3 small'
  PREFIX, LIBDIR, INCLUDEDIR, BINDIR, MANDIR, DESTDIR
                    where install puts things; default PREFIX: /usr/local
  SIGN_KEY=, SIGN_CERT=<file>
                    install: sign the module with these, for Secure Boot
  V=1               print each command
  ZCOPY_CACHE=<folder>
                    kernels and demo data; default: ~/.cache/zcopy
endef
help:
	$(info $(help))@:

deps:
	@$(vm)/deps.sh

# A kernel of clang's is no kernel of gcc's.
llvm = $(if $(LLVM)$(shell grep -s '^CONFIG_CC_IS_CLANG=y' $(KDIR)/include/config/auto.conf),LLVM=$(or $(LLVM),1))

# With sudo a root tree gets no variables of the environment.
flags = $(if $(KCFLAGS),KCFLAGS='$(KCFLAGS)')

# The kernel builds next to the sources, so each release gets links to them in
# a folder of its own.
modules:
	@mkdir -p $(objects)
	@cp -rsf $(addprefix $(CURDIR)/,Kbuild module uapi) $(objects)/
	$(Q)set -o pipefail; $(inside) $(MAKE) -C $(KDIR) M=$(objects) V=$(V) $(llvm) \
		$(flags) modules | sed -u 's|$(objects)/||'

lib:
	@$(MAKE) -C userlib O=$(user)

tests: lib
	@$(MAKE) -C userlib O=$(user) examples
	@$(MAKE) -C selftests O=$(CURDIR)/$(vm_build)/selftests LIBZCOPY=$(user) \
		KSFT=$(vm_kernel)/source/tools/testing/selftests

# Kernel modules and programs for the VM, whose kernel is not the running one. A warning
# fails.
build_for_vm = $(MAKE) -s -j$(shell nproc) vm_kernel=$(vm_kernel) KDIR=$(vm_kernel)/build \
	KCFLAGS=-Werror

vm: deps
	@$(build_for_vm) modules lib >&2
	@$(vm)/run.sh $(if $(CMD),,-i) $(vm_kernel) $(CURDIR)/$(vm_build)/module/zcopy.ko \
		"$${CMD:-$(vm)/shell.sh}"

# The benchmarks' programs and QEMU's instruction counter.
build_bench = $(MAKE) -s -C selftests/bench O=$(CURDIR)/$(vm_build)/bench LIBZCOPY=$(user)

demo: deps
	@echo "demo: building; nothing is loaded into this machine's own kernel"
	@$(build_for_vm) modules lib
	@$(build_bench)
	@$(vm)/demo.sh $(vm_kernel) $(CURDIR)/$(vm_build)/module/zcopy.ko \
		$(CURDIR)/$(vm_build)/bench

ifeq ($(KERNEL),all)
check:
	@$(vm)/check-all.sh
else
check: deps
	@$(build_for_vm) modules tests
	@$(vm)/check.sh $(vm_kernel) $(CURDIR)/$(vm_build)
endif

tests-list:
	@$(MAKE) -s -C selftests list

check-debug:
	@$(MAKE) check DEBUG=yes

bench: deps
	@$(build_for_vm) modules lib
	@$(build_bench)
	@selftests/bench/run.sh -k $(vm_kernel) -m $(CURDIR)/$(vm_build)/module/zcopy.ko \
		-b $(CURDIR)/$(vm_build)/bench $(BENCH)

# Nothing is built here, so that root owns nothing in the tree. A module that is
# to be signed is signed as it is installed: a signature ends at the last byte. Only
# one that is signed takes the place of another.
installed = $(DESTDIR)/lib/modules/$(release)/updates/zcopy.ko
# At boot.
PREFIX ?= /usr/local
loading = $(DESTDIR)$(PREFIX)/lib/modules-load.d/zcopy.conf
STRIP ?= strip
SIGN_FILE ?= $(KDIR)/scripts/sign-file
SIGN_HASH ?= sha256
half_signed = $(if $(SIGN_KEY)$(SIGN_CERT),$(if $(and $(SIGN_KEY),$(SIGN_CERT)),, \
	$(error a signature needs both, SIGN_KEY and SIGN_CERT)))
install:
	$(half_signed)@test -f $(objects)/module/zcopy.ko && test -f $(user)/zcopy || \
		{ echo "run make first" >&2; exit 1; }
	$(call tell,INSTALL $(installed))
	$(if $(SIGN_KEY),$(call tell,SIGN $(installed)))
	$(Q)umask 022; mkdir -p $(dir $(installed)) $(dir $(loading))
	$(Q)trap 'rm -f $(installed).new' EXIT; set -e; \
	install -m 644 $(objects)/module/zcopy.ko $(installed).new; \
	$(STRIP) --strip-debug $(installed).new; \
	$(if $(SIGN_KEY),$(SIGN_FILE) $(SIGN_HASH) '$(SIGN_KEY)' '$(SIGN_CERT)' $(installed).new;) \
	mv $(installed).new $(installed)
ifeq ($(DESTDIR),)
	$(call tell,DEPMOD $(release))
	$(Q)umask 022; depmod $(release)
endif
	$(call tell,INSTALL $(loading))
	$(Q)install -m 644 packaging/zcopy.conf $(loading)
	@$(MAKE) -C userlib O=$(user) DESTDIR=$(DESTDIR) install
	$(if $(DESTDIR),,@packaging/loaded.sh say)

# Of each kernel that has one: it may have been another that ran then, and is gone.
uninstall:
	$(Q)for module in $(DESTDIR)/lib/modules/*/updates/zcopy.ko; do \
		test -f "$$module" || continue; \
		printf '  %-7s %s\n' REMOVE "$$module"; \
		rm -f "$$module"; \
		folder=$${module%/zcopy.ko}; \
		rmdir --ignore-fail-on-non-empty "$$folder"; \
		folder=$${folder%/updates}; \
		if [ ! -f "$$folder/modules.order" ] && \
				[ -z "$$(find "$$folder" -name '*.ko*' -print -quit)" ]; then \
			rm -f "$$folder"/modules.*; \
			rmdir --ignore-fail-on-non-empty "$$folder"; \
		else \
			$(if $(DESTDIR),:,(umask 022; depmod "$${folder##*/}")); \
		fi; \
	done
	$(Q)rm -f $(loading)
	$(Q)if [ -d $(dir $(loading)) ]; then \
		rmdir --ignore-fail-on-non-empty $(dir $(loading)); fi
	@$(MAKE) -C userlib O=$(user) DESTDIR=$(DESTDIR) uninstall
	$(if $(DESTDIR),,@packaging/loaded.sh gone)

deb:
	@packaging/deb.sh build/deb

check-packages:
	@$(vm)/deps.sh dpkg-dev debhelper dh-dkms lintian mmdebstrap debian-archive-keyring
	@packaging/check.sh build/deb

kernel-tree:
	@packaging/kernel-tree.sh '$(or $(TREE),$(error name the kernel source with TREE=))'

# Debian's package of the kernel's source has it.
SOURCE ?= $(lastword $(sort $(wildcard /usr/src/linux-source-6.*.tar.xz)))
check-tree:
	@packaging/kernel-tree-check.sh build/tree '$(SOURCE)' \
		$(if $(wildcard $(SOURCE)),$(vm_kernel))/build/Module.symvers

clean:
	rm -rf build

# Static checks; a warning fails. Side by side, each with its output in a piece.
checks := style-module style-checkpatch-module style-checkpatch-userlib \
	style-checkpatch-selftests style-documentation style-installing style-kernels \
	style-lines style-packaging style-shell style-spelling style-waiting
.PHONY: style $(checks)
scripts = $(vm_kernel)/source/scripts

# With the scripts of the host's own 6.12, whatever kernel the tests run in.
style: override KERNEL :=
style: deps
	@$(MAKE) -k -j$(shell nproc) --output-sync=target vm_kernel=$(vm_kernel) $(checks)
	@echo "style: no warnings"

# A file that passed is not asked again until it changes.
kept = ../selftests/style/kept.sh \
	$(or $(ZCOPY_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/zcopy)/style

# The module passes as a whole, by all that it is made of and judged by.
judged = Kbuild Makefile Documentation/architecture.rst \
	$(addprefix selftests/style/,compat.sh layers.sh work.sh) $(wildcard module/* uapi/linux/*)
style-module:
	@mkdir -p build && { sha256sum $(judged); gcc --version; sparse --version; } \
		>build/judged
	+@cd build && $(kept) bash ../selftests/style/module.sh $(vm_kernel) --file judged

# It leaves a list of names where it runs.
checkpatch = mkdir -p build && cd build && export GIT_DIR=$(CURDIR)/.git && \
	$(side_by_side) $(kept) perl $(scripts)/checkpatch.pl --no-tree --strict --quiet \
	--terse --show-types --no-summary

# A trace event is a macro laid out as a table; only compat.h may ask for the
# kernel's version.
style-checkpatch-module:
	@$(checkpatch) --file $(filter-out %/trace.h %/compat.h,$(addprefix ../,$(wildcard \
		module/*.[ch] uapi/linux/*.h)))
	@$(checkpatch) --ignore OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT --file ../module/trace.h
	@$(checkpatch) --ignore LINUX_VERSION_CODE,CONSTANT_COMPARISON,MACRO_ARG_REUSE,MACRO_ARG_UNUSED --file ../module/compat.h

# A typedef of illumos, and a macro that picks one of its arguments.
style-checkpatch-userlib:
	@$(checkpatch) --ignore NEW_TYPEDEFS,MACRO_ARG_UNUSED --file $(addprefix ../,$(shell find userlib -name '*.[ch]'))

# They are the most: a few at a time on each processor.
style-checkpatch-selftests: side_by_side = printf '%s\n' $(addprefix ../,$(shell \
	find selftests -name '*.[ch]')) | xargs -n 8 -P $(shell nproc)
# Programs have none of the kernel's types, BIT() and attribute macros, C11's
# keywords have capitals, and the harness's macros are no values or types.
style-checkpatch-selftests:
	@$(checkpatch) --ignore PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO \
		--ignore CAMELCASE,COMPLEX_MACRO,SPACING,BIT_MACRO --file

style-documentation:
	@perl $(scripts)/kernel-doc -none -Werror uapi/linux/zcopy.h $(wildcard module/*.[ch])
	@selftests/style/named.sh Documentation/freebsd.rst Documentation/faults.rst

	+@selftests/style/manuals.sh Documentation/man userlib/include/zcopy

style-packaging:
	+@selftests/style/packaging.sh
	@selftests/style/deb.sh
	@selftests/style/dkms.sh

style-installing:
	@selftests/style/installing.sh

style-lines:
	@selftests/style/lines.sh

style-waiting:
	@selftests/style/waiting.sh

style-kernels:
	@selftests/style/kernels.sh

style-shell:
	@shellcheck --external-sources .ci/run userlib/command/zcopy.bash $(shell \
		find packaging userlib selftests -name '*.sh')

# A function of the kernel, and a macro of manual pages.
style-spelling:
	@codespell --skip ./.git,./build --ignore-words-list iput,te .
