# Targets that call scripts: dependencies, tests, demo, benchmark.
deps:
	scripts/deps

test:
	@scripts/test

fuzz:
	@scripts/deps test
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) scripts/test fuzz

# PART="postgres mariadb mysql mongodb s3"
demo:
	@scripts/deps demo
	@$(MAKE) --no-print-directory -s -j2 VARIANT=release
	@scripts/demo $(PART)

# PART=backup|restore|memory|tables, RUNS=5
bench-postgres:
	@scripts/deps test
	@$(MAKE) --no-print-directory -s -j2 VARIANT=release
	@tests/bench/postgres.py $(or $(PART),all) --runs $(or $(RUNS),5)

# PART=backup|restore|memory (MariaDB 10.11), backup97|restore97 (MySQL 9.7), RUNS=5
bench-mysql:
	@scripts/deps test
	@$(MAKE) --no-print-directory -s -j2 VARIANT=release
	@tests/bench/mysql.py $(or $(PART),all) --runs $(or $(RUNS),5)

# PART=stream|backup|restore|memory, RUNS=5
bench-mongodb:
	@scripts/deps test
	@$(MAKE) --no-print-directory -s -j2 VARIANT=release all build/release/bench_mongo_stream build/release/bench_mongo_bare
	@tests/bench/mongodb.py $(or $(PART),all) --runs $(or $(RUNS),5)

# Backups to S3 through a proxy that spoils requests at random. RUNS=1000, SEED=1
faults-s3:
	@scripts/deps test
	@$(MAKE) --no-print-directory -s -j2 VARIANT=debug build/debug/drtool
	@tests/e2e/faults_s3.py --runs $(or $(RUNS),1000) --seed $(or $(SEED),1)

# What S3 and sealing cost. PART=backup|memory|seal|table|list, RUNS=5
bench-storage:
	@scripts/deps test
	@$(MAKE) --no-print-directory -s -j2 VARIANT=release all build/release/bench_s3_discard
	@tests/bench/storage.py $(or $(PART),all) --runs $(or $(RUNS),5)

.PHONY: deps test fuzz demo bench-postgres bench-mysql bench-mongodb bench-storage faults-s3

install:
	@$(MAKE) --no-print-directory -s VARIANT=release
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' scripts/install

.PHONY: install
