/* Small things that every operation shares. */
#include "ops/ops.h"

void op_source_release(struct op_source *s)
{
	cstr_release(&s->name);
	cstr_release(&s->url);
	cstr_release(&s->user);
	secret_release(&s->password);
	secret_release(&s->scratch_password);
	if (s->params) {
		settings_release(s->driver->settings, s->params);
		free(s->params);
	}
	settings_release(source_rows, &s->s);
	*s = (struct op_source){0};
}

void op_store_release(struct op_store *s)
{
	cstr_release(&s->name);
	cstr_release(&s->url);
	strlist_release(&s->keep.tags);
	if (s->params) {
		settings_release(s->ops->settings, s->params);
		free(s->params);
	}
	*s = (struct op_store){0};
}

enum status op_confirm(struct op_env *env, const char *question, struct error *err)
{
	if (env->yes)
		return ST_OK;
	if (!env->ask) {
		error_set(err, ST_REFUSED, "nobody can be asked: %s", question);
		return error_hint(err, "Repeat the command with --yes if that is what you want.");
	}
	if (!env->ask(env->ctx, question))
		return error_set(err, ST_REFUSED, "not confirmed, nothing was changed");
	return ST_OK;
}

void op_say(struct op_env *env, const char *fmt, ...)
{
	va_list ap;

	if (!env->say)
		return;
	va_start(ap, fmt);
	CLEANUP(cstr_release) char *line = xvasprintf(fmt, ap);
	va_end(ap);
	env->say(env->ctx, line);
}

void op_outcomes_add(struct op_outcomes *o, const char *what, struct error *err)
{
	o->item = xrealloc(o->item, (o->n + 1) * sizeof *o->item);
	o->item[o->n] = (struct op_outcome){.what = xstrdup(what), .err = ERROR_INIT};
	error_move(&o->item[o->n].err, err);
	o->n++;
}

void op_outcomes_release(struct op_outcomes *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->item[i].what);
		error_release(&o->item[i].err);
	}
	free(o->item);
	*o = (struct op_outcomes){0};
}

enum status op_outcomes_status(const struct op_outcomes *o)
{
	enum status first = ST_OK;
	bool mixed = false, good = false;

	for (size_t i = 0; i < o->n; i++) {
		enum status code = o->item[i].err.code;

		if (code == ST_OK)
			good = true;
		else if (first == ST_OK)
			first = code;
		else if (status_exit(code) != status_exit(first))
			mixed = true;
	}
	if (first == ST_OK)
		return ST_OK;
	return good || mixed ? ST_INCOMPLETE : first;
}
