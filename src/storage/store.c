/* A store's identity: drtool-store.json in it, and the memory of it on this machine, so that an empty mount point is not taken
 * for it. */
#include "storage/store.h"

#include "core/log.h"
#include "util/failpoint.h"
#include "util/fs.h"
#include "util/json.h"

#define IDENTITY_KEY STORE_IDENTITY_KEY
#define IDENTITY_MAX 4096
#define ID_DIGITS 32

void store_release(struct store *s)
{
	storage_release(&s->storage);
	free(s->name);
	free(s->state_dir);
	*s = (struct store)STORE_INIT;
}

static enum status parse_identity(const struct buf *b, const char *what, char *id, struct error *err)
{
	CLEANUP(js_decref) json_t *root = NULL;
	const char *text;

	if (js_parse(buf_str(b), b->len, what, &root, err) || js_str(root, what, "id", &text, err))
		return err->code;
	if (strlen(text) != ID_DIGITS || strspn(text, "0123456789abcdef") != ID_DIGITS)
		return error_set(err, ST_BAD, "%s: the id of the store is damaged", what);
	snprintf(id, ID_DIGITS + 1, "%s", text);
	return ST_OK;
}

/* id is "" where the store has none. */
static enum status read_id(struct run *run, struct storage *s, char *id, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	id[0] = 0;
	if (!storage_get_bytes(run, s, IDENTITY_KEY, IDENTITY_MAX, &b, NULL, err))
		return parse_identity(&b, IDENTITY_KEY, id, err);
	if (err->code != ST_NOT_FOUND)
		return err->code;
	error_release(err);
	return ST_OK;
}

/* Of the part of a URL that says where the store is: how much a connection must prove is another matter. */
static size_t place_length(const char *url)
{
	const char *options = strchr(url, '?'), *tls = options ? strstr(options, "&tls=") : NULL;
	size_t n = tls ? (size_t)(tls - url) : strlen(url);

	while (n > 1 && url[n - 1] == '/')
		n--;
	return n;
}

bool store_same_place(const struct store *a, const struct store *b)
{
	const size_t n = place_length(a->storage.url);

	return n == place_length(b->storage.url) && !memcmp(a->storage.url, b->storage.url, n);
}

/* Where this machine remembers the store of a URL. NULL: nowhere. */
static char *memory_path(const struct store_spec *spec, const char *url)
{
	char hex[SHA256_HEX];
	size_t n = place_length(url);

	if (!spec->state_dir)
		return NULL;
	return xasprintf("%s/stores/%.32s.json", spec->state_dir, sha256_hex(sha256_of(url, n), hex));
}

/* What cannot be read is as nothing: the memory is a second look, never a reason why a restore does not start. */
static void remembered_id(const char *path, char *id)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	id[0] = 0;
	if (path && !fs_read_file(path, IDENTITY_MAX, &b, &ignored) && parse_identity(&b, path, id, &ignored))
		id[0] = 0;
}

static void remember(struct run *run, const struct store_spec *spec, const struct store *s, const char *path)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *root = json_object();
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *dir = NULL;

	if (!path)
		return;
	js_set_str(root, "url", s->storage.url);
	js_set_str(root, "id", s->id);
	js_write(root, true, &b);
	dir = path_join(spec->state_dir, "stores");
	if (fs_mkdirs(dir, 0700, &err) || fs_write_file(path, 0600, b.data, b.len, &err))
		log_line(run, LOG_INFO, "the id of store %s is not remembered: %s", s->name, error_text(&err));
}

static enum status make_identity(struct run *run, struct store *s, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *root = json_object();
	const struct put_spec spec = {.key = IDENTITY_KEY, .condition = PUT_ABSENT};
	char id[ID_DIGITS + 1];

	if (failpoint("store.init.before", err))
		return err->code;
	run_random_hex(run, id, ID_DIGITS);
	js_set_u64(root, "format", 1);
	js_set_str(root, "id", id);
	js_set_time(root, "created", run_now(run));
	js_write(root, true, &b);
	if (!storage_put_bytes(run, &s->storage, &spec, b.data, b.len, NULL, err)) {
		memcpy(s->id, id, sizeof id);
		return ST_OK;
	}
	if (err->code != ST_PRECONDITION)
		return err->code;
	error_release(err); /* another run was first, and its id holds */
	return read_id(run, &s->storage, s->id, err);
}

static enum status init_store(struct run *run, const struct store_spec *spec, struct store *s, struct error *err)
{
	CLEANUP(cstr_release) char *found = NULL;

	if (!spec->init) {
		error_set(err, ST_NOT_FOUND, "there is no store at %s", s->storage.url);
		return error_hint(err, "The first backup makes it; if there should be one, look whether it is mounted.");
	}
	if (storage_first(run, &s->storage, "", NULL, &found, err))
		return err->code;
	if (found && !strcmp(found, STORE_PROBE_KEY)) {
		cstr_release(&found);
		if (storage_first(run, &s->storage, "", STORE_PROBE_KEY, &found, err))
			return err->code;
	}
	/* A store that another run initialises now may hold its identity already. */
	if (found && !strcmp(found, IDENTITY_KEY))
		return read_id(run, &s->storage, s->id, err);
	if (found) {
		error_set(err, ST_REFUSED, "%s holds '%s' but no " IDENTITY_KEY ": it is no store of drtool", s->storage.url,
			  found);
		return error_hint(err, "Choose an empty or absent folder.");
	}
	return make_identity(run, s, err);
}

static enum status prove_identity(struct run *run, const struct store_spec *spec, struct store *s, struct error *err)
{
	CLEANUP(cstr_release) char *path = memory_path(spec, s->storage.url);
	char known[ID_DIGITS + 1];

	remembered_id(path, known);
	if (read_id(run, &s->storage, s->id, err)) {
		if (err->code != ST_BAD || spec->init)
			return err->code;
		/* Nobody may be kept from a restore by a damaged identity. */
		log_line(run, LOG_WARN, "store %s: %s", s->name, error_text(err));
		error_release(err);
		s->id[0] = 0;
		return ST_OK;
	}
	if (known[0] && !s->id[0]) {
		error_set(err, ST_REFUSED, "there is no store at %s, but this machine knows one there (id %s)", s->storage.url,
			  known);
		return error_hint(err, "Is it mounted? If it was emptied on purpose, remove %s.", path);
	}
	if (known[0] && strcmp(known, s->id)) {
		error_set(err, ST_REFUSED, "the store at %s has the id %s, but this machine knows it as %s", s->storage.url,
			  s->id, known);
		return error_hint(err, "Is the right one mounted? If it was replaced on purpose, remove %s.", path);
	}
	if (!s->id[0] && init_store(run, spec, s, err))
		return err->code;
	if (!known[0])
		remember(run, spec, s, path);
	return ST_OK;
}

enum status store_open(struct run *run, const struct store_spec *spec, struct store *s, struct error *err)
{
	struct store opened = STORE_INIT;

	if (storage_open(run, spec->ops, spec->url, spec->params, &opened.storage, err))
		return error_add(err, "store %s", spec->name ? spec->name : "");
	opened.name = xstrdup(spec->name ? spec->name : opened.storage.url);
	opened.state_dir = spec->state_dir ? xstrdup(spec->state_dir) : NULL;
	if (prove_identity(run, spec, &opened, err)) {
		error_add(err, "store %s", opened.name);
		store_release(&opened);
		return err->code;
	}
	*s = opened;
	return ST_OK;
}
