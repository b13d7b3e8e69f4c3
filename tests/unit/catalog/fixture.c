#include "tests/unit/catalog/fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "core/url.h"
#include "storage/local/local.h"
#include "storage/s3/s3.h"

static struct instant fix_now(void *ctx) { return (struct instant){atomic_load(&((struct fix *)ctx)->us)}; }

/* Time passes by waiting, about as fast as it really does. */
static void fix_wait(void *ctx, int fd, struct duration d)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	poll(&p, 1, 2);
	fix_move(ctx, d.us < 2000 ? d : DURATION_MS(2));
}

void fix_open(struct fix *f, const char *now, const char *faults)
{
	CLEANUP(cstr_release) char *url = xasprintf("file://%s/store", test_dir());
	const struct local_params params = {0};
	const struct store_spec spec = {.name = "local", .url = url, .ops = &storage_local, .params = &params, .init = true};
	struct error err = ERROR_INIT;
	struct instant t;

	CHECK_OK(instant_parse(now, &t, &err), err);
	*f = (struct fix){.run = RUN_INIT, .us = t.us};
	f->clock = (struct clock){.now = fix_now, .mono = fix_now, .wait = fix_wait, .ctx = f};
	f->run.clock = &f->clock;
	if (faults)
		setenv("DRTOOL_STORE_FAULT", faults, 1);
	CHECK_OK(store_open(&f->run, &spec, &f->store, &err), err);
	unsetenv("DRTOOL_STORE_FAULT");
}

void fix_open_s3(struct fix *f, const char *url)
{
	CLEANUP(url_release) struct url u = URL_INIT;
	struct s3_params params = {0};
	struct error err = ERROR_INIT;

	*f = (struct fix){.run = RUN_INIT};
	CHECK_OK(settings_defaults(storage_s3.settings, &params, &err), err);
	CHECK_OK(url_parse(url, &u, &err), err);
	for (size_t i = 0; i < u.params; i++) {
		const struct setting *row = setting_find(storage_s3.settings, SCOPE_STORE, u.param[i].key, NULL);

		CHECK(row);
		CHECK_OK(setting_parse(row, u.param[i].value, &params, &err), err);
	}
	CLEANUP(cstr_release) char *bare = xstrndup(url, strcspn(url, "?"));
	const struct store_spec spec = {.name = "bucket", .url = bare, .ops = &storage_s3, .params = &params, .init = true};
	CHECK_OK(store_open(&f->run, &spec, &f->store, &err), err);
	settings_release(storage_s3.settings, &params);
}

void fix_close(struct fix *f) { store_release(&f->store); }
void fix_move(struct fix *f, struct duration d) { atomic_fetch_add(&f->us, d.us); }

void fix_put(struct fix *f, const char *key, const char *text)
{
	const struct put_spec spec = {.key = key};
	struct error err = ERROR_INIT;

	CHECK_OK(storage_put_bytes(&f->run, &f->store.storage, &spec, text, strlen(text), NULL, &err), err);
}

bool fix_has(struct fix *f, const char *key)
{
	struct storage_object o;
	struct error err = ERROR_INIT;
	enum status st = storage_stat(&f->run, &f->store.storage, key, &o, &err);

	error_release(&err);
	return !st;
}

void fix_age(struct fix *f UNUSED, const char *key, int seconds)
{
	CLEANUP(cstr_release) char *path = xasprintf("%s/store/%s", test_dir(), key);
	struct stat st;

	CHECK(!stat(path, &st));
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = st.st_mtime - seconds}};
	CHECK(!utimensat(AT_FDCWD, path, times, 0));
}

void fix_backup(struct fix *f, const struct made *b)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(manifest_release) struct manifest m = MANIFEST_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(cstr_release) char *key = xasprintf("shop/backup/%s.json", b->id),
		*volume = xasprintf("shop/backup/%s.tar.gz", b->id);

	snprintf(m.id, sizeof m.id, "%s", b->id);
	m.source = xstrdup("shop");
	m.driver = xstrdup("postgres");
	m.kind = xstrdup(b->kind ? b->kind : "dump");
	m.identity = xstrdup(b->identity ? b->identity : "id-1");
	m.url = xstrdup("postgres://db/shop");
	m.server_version = xstrdup("15.1");
	m.server_role = xstrdup("primary");
	m.tool_version = xstrdup("0");
	m.compression = xstrdup("none");
	m.oldest_client = xstrdup("15");
	m.started = m.finished = m.data_time = backup_id_time(b->id);
	m.rows = b->rows;
	m.raw = b->raw;
	m.stored = 7;
	m.chunk_size = 6u << 20;
	m.suspect = b->suspect;
	m.suspect_because = b->suspect ? xstrdup("the number of rows fell") : NULL;
	if (b->tag)
		strlist_add(&m.tags, b->tag);
	m.object = xcalloc(1, sizeof *m.object);
	m.object[0] = (struct manifest_object){.key = xasprintf("%s.tar.gz", b->id), .size = 7};
	m.objects = 1;
	CHECK_OK(manifest_write(&m, &text, &err), err);
	fix_put(f, volume, "archive");
	fix_put(f, key, text.data);
}

static void proof(struct fix *f, const char *kind, const char *id, enum evidence_outcome outcome, enum proof_level level, const json_t *detail)
{
	const struct evidence e = {.kind = kind,
				   .detail = detail,
				   .source = "shop",
				   .backup = id,
				   .outcome = outcome,
				   .level = level,
				   .started = instant_add(run_now(&f->run), DURATION_SECONDS(-60)),
				   .finished = run_now(&f->run),
				   .cause = outcome == EVIDENCE_GOOD ? NULL : "bytes differ"};
	struct error err = ERROR_INIT;

	CHECK_OK(evidence_write(&f->run, &f->store, &e, &err), err);
	fix_move(f, DURATION_SECONDS(1));
}

void fix_proof(struct fix *f, const char *kind, const char *id, enum evidence_outcome outcome, enum proof_level level)
{
	proof(f, kind, id, outcome, level, NULL);
}

void fix_shallow(struct fix *f, const char *id, enum evidence_outcome outcome)
{
	CLEANUP(js_decref) json_t *detail = json_object();

	js_set_bool(detail, "stored_bytes_only", true);
	proof(f, "check", id, outcome, PROOF_CHECKED, detail);
}

void fix_read(struct fix *f, struct catalog *c)
{
	struct error err = ERROR_INIT;

	CHECK_OK(catalog_read(&f->run, &f->store, "shop", c, &err), err);
}
