/* Which sources and stores a command means. */
#include "commands/command.h"

#include "core/url.h"

void picked_sources_release(struct picked_sources *p)
{
	for (size_t i = 0; i < p->n; i++)
		op_source_release(&p->item[i]);
	free(p->item);
	*p = (struct picked_sources)PICKED_INIT;
}

void picked_stores_release(struct picked_stores *p)
{
	for (size_t i = 0; i < p->n; i++)
		op_store_release(&p->item[i]);
	free(p->item);
	free(p->list);
	*p = (struct picked_stores)PICKED_INIT;
}

enum status pick_source(struct cli *cli, const char *text, bool admin, struct op_source *s, struct error *err)
{
	const struct bind bind = {&cli->config};

	return bind_source(cli->run, &bind, text, cli->f.name, admin, s, err);
}

static enum status add_source(struct cli *cli, const char *text, bool admin, struct picked_sources *p, struct error *err)
{
	p->item = xrealloc(p->item, (p->n + 1) * sizeof(*p->item));
	if (pick_source(cli, text, admin, &p->item[p->n], err))
		return err->code;
	p->n++;
	return ST_OK;
}

/* Neither SOURCE nor --all. */
static enum status nothing_named(struct cli *cli, bool admin, struct picked_sources *p, struct error *err)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	const char *url = config_env(&cli->config, "DATABASE_URL");

	if (!url)
		url = config_env(&cli->config, "MONGODB_URI");
	if (!cli->config.sources && url)
		return add_source(cli, url, admin, p, err);
	error_set(err, ST_USAGE, "%s needs a SOURCE or --all", cli->command->name);
	for (size_t i = 0; i < cli->config.sources; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", cli->config.source[i].name);
	if (!names.len)
		return error_hint(
			err,
			"A SOURCE is a name of the configuration, where none is, or a URL such as postgres://user@host/database,"
			" mysql://user@host/database or mongodb://user@host/database?authSource=admin.");
	return error_hint(err, "--all means %s.", buf_str(&names));
}

/* Without a configuration, what can be administered is what lies in the store. */
static enum status all_in_store(struct cli *cli, struct picked_sources *p, struct error *err)
{
	CLEANUP(picked_stores_release) struct picked_stores from = PICKED_INIT;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;

	if (pick_from(cli, NULL, &from, err) || pick_names(cli, &from, &names, err))
		return err->code;
	for (size_t i = 0; i < names.len; i++)
		if (add_source(cli, names.item[i], true, p, err))
			return err->code;
	return ST_OK;
}

enum status pick_sources(struct cli *cli, bool admin, struct picked_sources *p, struct error *err)
{
	if (cli->f.all && cli->arg.len)
		return error_set(err, ST_USAGE, "either sources are named or --all is given, not both");
	if (cli->f.name && (cli->f.all || cli->arg.len > 1))
		return error_set(err, ST_USAGE, "--name goes with one source");
	if (!cli->f.all && !cli->arg.len)
		return nothing_named(cli, admin, p, err);
	if (cli->f.all && !cli->config.sources && admin)
		return all_in_store(cli, p, err);
	if (cli->f.all && !cli->config.sources) {
		error_set(err, ST_CONFIG, "no source is configured");
		return error_hint(err, "Name the configuration with --config; `drtool config example` prints one.");
	}
	for (size_t i = 0; cli->f.all && i < cli->config.sources; i++)
		if (add_source(cli, cli->config.source[i].name, admin, p, err))
			return err->code;
	for (size_t i = 0; i < cli->arg.len; i++)
		if (add_source(cli, cli->arg.item[i], admin, p, err))
			return err->code;
	return ST_OK;
}

static enum status add_store(struct cli *cli, const char *text, struct picked_stores *p, struct error *err)
{
	const struct bind bind = {&cli->config};
	const struct config_section *known = config_store(&cli->config, text);

	for (size_t i = 0; known && i < p->n; i++)
		if (!strcmp(p->item[i].name, text))
			return ST_OK;
	p->item = xrealloc(p->item, (p->n + 1) * sizeof(*p->item));
	if (bind_store(cli->run, &bind, text, &p->item[p->n], err))
		return err->code;
	p->n++;
	return ST_OK;
}

/* The stores that a source's own setting names: one that is not there is an error of the configuration. */
static enum status add_own(struct cli *cli, const struct op_source *source, struct picked_stores *p, struct error *err)
{
	for (size_t i = 0; i < source->s.to.len; i++)
		if (add_store(cli, source->s.to.item[i], p, err)) {
			err->code = err->code == ST_NOT_FOUND ? ST_CONFIG : err->code;
			return error_add(err, "source %s, to", source->name);
		}
	return ST_OK;
}

/* Every configured store, else $DRTOOL_STORE. */
static enum status add_configured(struct cli *cli, struct picked_stores *p, const char *flag, struct error *err)
{
	const char *env = config_env(&cli->config, "DRTOOL_STORE");

	for (size_t i = 0; i < cli->config.stores; i++)
		if (add_store(cli, cli->config.store[i].name, p, err))
			return err->code;
	if (!p->n && env && add_store(cli, env, p, err))
		return error_add(err, "$DRTOOL_STORE");
	if (p->n)
		return ST_OK;
	error_set(err, ST_CONFIG, "there is no store");
	return error_hint(err, "Give one with %s file:///var/backups/drtool, in DRTOOL_STORE, or as stores: in the configuration.",
			  flag);
}

static void make_list(struct picked_stores *p)
{
	p->list = xcalloc(p->n, sizeof(*p->list));
	for (size_t i = 0; i < p->n; i++)
		p->list[i] = &p->item[i];
}

enum status pick_targets(struct cli *cli, const struct op_source *source, struct picked_stores *p, struct error *err)
{
	for (size_t i = 0; i < cli->f.to.len; i++)
		if (add_store(cli, cli->f.to.item[i], p, err))
			return err->code;
	if (!p->n && add_own(cli, source, p, err))
		return err->code;
	if (!p->n && add_configured(cli, p, "--to", err))
		return err->code;
	make_list(p);
	return ST_OK;
}

enum status pick_from(struct cli *cli, const struct op_source *source, struct picked_stores *p, struct error *err)
{
	if (cli->f.from) {
		if (add_store(cli, cli->f.from, p, err))
			return err->code;
	} else {
		if (source && add_own(cli, source, p, err))
			return err->code;
		if (add_configured(cli, p, "--from", err))
			return err->code;
	}
	make_list(p);
	return ST_OK;
}

enum status pick_names(struct cli *cli, const struct picked_stores *from, struct strlist *names, struct error *err)
{
	for (size_t i = 0; i < from->n; i++) {
		CLEANUP(strlist_release) struct strlist found = STRLIST_INIT;

		if (op_sources(&cli->env, &from->item[i], &found, err))
			return err->code;
		for (size_t k = 0; k < found.len; k++)
			strlist_add_once(names, found.item[k]);
	}
	strlist_sort(names);
	return ST_OK;
}

enum status outcomes_to_error(struct cli *cli, struct op_outcomes *o, struct error *err)
{
	enum status st = op_outcomes_status(o);
	CLEANUP(buf_release) struct buf failed = BUF_INIT;
	size_t n = 0;

	if (!st)
		return ST_OK;
	for (size_t i = 0; i < o->n; i++) {
		struct error *e = &o->item[i].err;

		if (!e->code)
			continue;
		buf_printf(&failed, "%s%s", n++ ? ", " : "", o->item[i].what);
		if (o->n == 1) {
			error_move(err, e);
			return out_names(error_text(err), o->item[i].what) ? err->code : error_add(err, "%s", o->item[i].what);
		}
		CLEANUP(cstr_release) char *next = NULL;

		next = xasprintf("Next: `drtool %s %s --verbose` says more.", cli->command->name, o->item[i].what);
		out_error(cli, o->item[i].what, cli->p.quiet ? next : NULL, e);
	}
	error_set(err, st, "%zu of %zu failed: %s", n, o->n, buf_str(&failed));
	cli->reported = cli->p.quiet;
	return st;
}
