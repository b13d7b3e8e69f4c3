# drtool. `make` builds build/drtool; everything a build writes lies under build/<variant>/.
#   make VARIANT=debug|asan|tsan|cover   another variant, in build/<variant>/drtool
#   make CC=clang                        another compiler (its own folder: build/<variant>-clang)
#   make demo | test | fuzz | bench-postgres | bench-mysql | bench-mongodb | bench-storage | faults-s3 | install
# Leave a client library out with WITH_POSTGRES=0, WITH_MYSQL=0 or WITH_MONGODB=0; --version names what is missing. MongoDB's is left out, too,
# where it is not installed; tests and fuzzers need all of them.
VARIANT ?= release
CC      := $(if $(filter default undefined,$(origin CC)),gcc,$(CC))
PREFIX  ?= /usr/local
V       ?= 0
WITH_POSTGRES ?= 1
WITH_MYSQL ?= 1

VERSION := $(shell cat VERSION)
is_clang := $(findstring clang,$(notdir $(CC)))
B       := build/$(VARIANT)$(if $(is_clang),-clang)
Q       := $(if $(filter 0,$(V)),@)

REQUIRED := zlib yaml-0.1 libcrypto libssl libxxhash jansson libcurl expat
OPTIONAL := libisal libdeflate
PKGS := $(REQUIRED)
HAVE :=
ifeq ($(WITH_POSTGRES),1)
PKGS += libpq
HAVE += -DHAVE_LIBPQ
endif
ifeq ($(WITH_MYSQL),1)
PKGS += libmariadb
HAVE += -DHAVE_LIBMARIADB
endif
# Version 2 has another name, and calls deprecated what version 1.23 has no other name for.
MONGOC := $(firstword $(foreach p,libmongoc-1.0 mongoc2,$(shell pkg-config --exists $(p) 2>/dev/null && echo $(p))))
WITH_MONGODB ?= $(if $(MONGOC),1,0)
ifeq ($(WITH_MONGODB),1)
PKGS += $(or $(MONGOC),libmongoc-1.0)
HAVE += -DHAVE_LIBMONGOC
endif
building := $(filter-out clean demo deps check-deps,$(or $(MAKECMDGOALS),all))
ifneq ($(building),)
found := $(foreach p,$(OPTIONAL),$(shell pkg-config --exists $(p) && echo $(p)))
PKGS += $(found)
HAVE += $(foreach p,$(found),-DHAVE_$(shell echo $(p) | tr a-z A-Z))
# Headers of libraries are theirs to keep free of warnings.
PKG_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS) 2>/dev/null))
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
endif

# Each warning earns its place: conversions lose bytes of sizes, shadowing hides an err,
# missing prototypes hide dead functions, vla hides unbounded stack.
WARN := -Wall -Wextra -Werror -Wconversion -Wcast-qual -Wshadow -Wformat=2 -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wwrite-strings -Wimplicit-fallthrough -Wundef -Wpointer-arith
ifeq ($(is_clang),)
WARN += -Wlogical-op -Wduplicated-cond
endif
ifeq ($(MONGOC),mongoc2)
WARN += -Wno-deprecated-declarations
endif
OPT_release := -O2 -g -D_FORTIFY_SOURCE=2
OPT_debug   := -O1 -g -DDRTOOL_TEST
OPT_asan    := -O1 -g -DDRTOOL_TEST -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan    := -O1 -g -DDRTOOL_TEST -fsanitize=thread
OPT_cover   := -O0 -g -DDRTOOL_TEST --coverage
OPT_fuzz    := -O1 -g -DDRTOOL_TEST -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
OPT := $(or $(OPT_$(VARIANT)),$(error unknown VARIANT $(VARIANT)))

CPPFLAGS_ALL := -D_GNU_SOURCE -DDRTOOL_VERSION='"$(VERSION)"' -Isrc -I. $(HAVE) $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   := -std=c17 $(OPT) $(WARN) -fstack-protector-strong -fPIE -pthread -ffile-prefix-map=$(CURDIR)=. $(CFLAGS)
LDFLAGS_ALL  := -pie -pthread $(filter -fsanitize% --coverage,$(OPT)) -Wl,-z,relro,-z,now $(LDFLAGS)
LIBS         := $(PKG_LIBS) -lm

LIB_SRC := $(sort $(wildcard src/*/*.c src/*/*/*.c drivers/*.c))
ifeq ($(WITH_POSTGRES),1)
LIB_SRC += $(sort $(wildcard drivers/postgres/*.c))
endif
ifeq ($(WITH_MYSQL),1)
LIB_SRC += $(sort $(wildcard drivers/mysql/*.c))
endif
ifeq ($(WITH_MONGODB),1)
LIB_SRC += $(sort $(wildcard drivers/mongodb/*.c))
endif
ifeq ($(filter libisal,$(found)),)
LIB_SRC := $(filter-out src/gzip/isal.c src/gzip/mixed.c,$(LIB_SRC))
endif
ifeq ($(filter libdeflate,$(found)),)
LIB_SRC := $(filter-out src/gzip/libdeflate.c src/gzip/mixed.c,$(LIB_SRC))
endif
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
UNIT_SRC := $(sort $(wildcard tests/lib/*.c tests/unit/*.c tests/unit/*/*.c tests/conformance/*.c))
UNIT_OBJ := $(UNIT_SRC:%.c=$(B)/%.o)
FUZZERS  := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

all: $(B)/drtool $(if $(filter release,$(VARIANT)),$(if $(is_clang),,build/drtool))

build/drtool: $(B)/drtool
	$(Q)ln -sf release/drtool $@

# The stamp changes when the flags do, and everything depends on it.
$(B)/flags: FORCE
	$(Q)mkdir -p $(B); pkg-config --exists --print-errors $(PKGS) || { echo "libraries are missing: run scripts/deps" >&2; exit 1; }
	$(Q)echo '$(CC) $(subst ','"'"',$(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(LIBS))' | cmp -s - $@ || \
	  echo '$(CC) $(subst ','"'"',$(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(LIBS))' > $@

$(B)/%.o: %.c $(B)/flags
	$(Q)mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  CC  $<")
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(B)/libdrtool.a: $(LIB_OBJ)
	$(Q)rm -f $@ && $(AR) rcsD $@ $(LIB_OBJ)

$(B)/drtool: $(B)/src/main.o $(B)/libdrtool.a
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(LIBS) -o $@
	@echo "  LD  $@"

$(B)/unit: $(UNIT_OBJ) $(B)/libdrtool.a
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(LIBS) $(shell pkg-config --libs libarchive) -o $@
	@echo "  LD  $@"

unit: $(B)/unit
	$(B)/unit

$(B)/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/libdrtool.a
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer $^ $(LIBS) -o $@

# Programs that the benchmark measures by.
$(B)/bench_%: $(B)/tests/bench/%.o
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(LIBS) -o $@

fuzzers: $(FUZZERS:%=$(B)/%)

list-fuzzers:
	@echo $(FUZZERS)

clean:
	rm -rf build

FORCE:
.PHONY: all unit fuzzers list-fuzzers clean FORCE
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)

# demo, test, fuzz, bench-*, install
-include scripts/targets.mk
