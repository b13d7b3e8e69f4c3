/* Opening the stores of an operation; one that fails is an outcome, not the end. */
#include "ops/internal.h"

static enum status open_one(struct op_env *env, const struct op_store *from, bool init, struct store *s, struct error *err)
{
	CLEANUP(cstr_release) char *state = state_folder(env);
	struct store_spec spec = {
		.name = from->name,
		.url = from->url,
		.ops = from->ops,
		.params = from->params,
		.state_dir = state,
		.init = init,
	};

	return store_open(env->run, &spec, s, err);
}

enum status store_open_one(struct op_env *env, const struct op_store *from, struct store *s, struct error *err)
{
	return open_one(env, from, false, s, err);
}

static enum status all_failed(const struct op_store *const *from, struct open_stores *s, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (s->n == 1) {
		error_move(err, &s->err[0]);
		return err->code;
	}
	enum status st = s->err[0].code;

	for (size_t i = 0; i < s->n; i++) {
		const char *why = error_text(&s->err[i]);

		buf_printf(&text, "%s%s%s%s", i ? "; " : "", strncmp(why, "store ", 6) ? from[i]->name : "", strncmp(why, "store ", 6) ? ": " : "", why);
		st = st == ST_LOCKED ? s->err[i].code : st; /* another run has them: only where it has all */
	}
	return error_set(err, st, "no store can be used: %s", buf_str(&text));
}

enum status stores_open(struct op_env *env, const struct op_store *const *from, size_t n, bool init, struct open_stores *s, struct error *err)
{
	if (!n) {
		error_set(err, ST_CONFIG, "no store is named");
		return error_hint(err, "Give --to or --from STORE (a name or file:///folder), set DRTOOL_STORE, or write `to:` into the configuration.");
	}
	*s = (struct open_stores){
		.store = xcalloc(n, sizeof *s->store),
		.err = xcalloc(n, sizeof *s->err),
		.open = xcalloc(n, sizeof *s->open),
		.n = n,
	};
	for (size_t i = 0; i < n; i++)
		if (!open_one(env, from[i], init, &s->store[i], &s->err[i]))
			s->open[s->opened++] = &s->store[i];
	return s->opened ? ST_OK : all_failed(from, s, err);
}

enum status stores_drop(struct open_stores *s, const struct op_store *const *from, size_t i, struct error *why, struct error *err)
{
	error_move(&s->err[s->open[i] - s->store], why);
	if (s->opened == 1)
		return all_failed(from, s, err);
	s->opened--;
	memmove(&s->open[i], &s->open[i + 1], (s->opened - i) * sizeof *s->open);
	return ST_OK;
}

void stores_release(struct open_stores *s)
{
	for (size_t i = 0; i < s->n; i++) {
		store_release(&s->store[i]);
		error_release(&s->err[i]);
	}
	free(s->store);
	free(s->err);
	free(s->open);
	*s = (struct open_stores){0};
}
