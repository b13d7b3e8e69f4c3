/* The command line: flags by the rows of settings, arguments by the command. */
#include "commands/command.h"

#include <ctype.h>

#include "core/url.h"

struct parser {
	struct cli *cli;
	int argc, at;
	char *const *argv;
	enum parse_action *action;
	struct error *err;
};

/* One-letter forms. */
static const struct {
	char letter;
	const char *flag;
} letters[] = {{'q', "quiet"}, {'v', "verbose"}, {'h', "help"}};

bool flag_belongs(const struct setting *row, const struct command *c)
{
	return row->flag && (c ? (row->commands & c->bit) != 0 : row->commands == CMD_ANY);
}

bool flag_optional_value(const struct setting *row) { return row->arg && *row->arg == '['; }
bool flag_takes_value(const struct setting *row) { return row->type != SET_BOOL && !flag_optional_value(row); }

/* Two drivers may have a setting of the same name: one flag, which sets it in whichever driver is meant. */
static bool given_before(const struct config_schema *s, const struct command *c, size_t groups, const char *flag)
{
	for (size_t g = 0; g < groups; g++)
		for (const struct setting *row = s->group[g].rows; !setting_is_end(row); row++)
			if (flag_belongs(row, c) && !strcmp(row->flag, flag))
				return true;
	return false;
}

void flags_each(const struct config_schema *s, const struct command *c, void (*fn)(void *ctx, const struct setting *row), void *ctx)
{
	for (int common = 0; common < 2; common++)
		for (size_t g = 0; g < s->groups; g++)
			for (const struct setting *row = s->group[g].rows; !setting_is_end(row); row++)
				if (flag_belongs(row, c) && (row->commands == CMD_ANY) == common && !given_before(s, c, g, row->flag))
					fn(ctx, row);
}

struct flag_search {
	const char *name;
	size_t n;
	const struct setting *found;
};

static void match_flag(void *ctx, const struct setting *row)
{
	struct flag_search *f = ctx;

	if (!f->found && strlen(row->flag) == f->n && !memcmp(row->flag, f->name, f->n))
		f->found = row;
}

static const struct setting *find_flag(const struct parser *p, const struct command *c, const char *name, size_t n)
{
	struct flag_search f = {name, n, NULL};

	flags_each(&p->cli->schema, c, match_flag, &f);
	return f.found;
}

static void collect_flag(void *ctx, const struct setting *row) { strlist_add(ctx, row->flag); }

static enum status see_help(struct parser *p)
{
	const struct command *c = p->cli->command;

	return error_hint(p->err, "See `drtool%s%s --help`.", c ? " " : "", c ? c->name : "");
}

static enum status unknown_flag(struct parser *p, const char *arg, const char *name, size_t n)
{
	CLEANUP(strlist_release) struct strlist known = STRLIST_INIT;
	CLEANUP(cstr_release) char *wrong = xstrndup(name, n);
	const char *command = p->cli->command ? p->cli->command->name : "drtool";

	flags_each(&p->cli->schema, p->cli->command, collect_flag, &known);
	strlist_add(&known, "help");
	strlist_add(&known, "version");
	const char *near = nearest_name(wrong, (const char *const *)known.item, known.len);

	if (near)
		return error_set(p->err, ST_USAGE, "%s has no flag --%s; did you mean --%s?", command, wrong, near);
	for (const struct command *const *c = commands; *c; c++)
		if (find_flag(p, *c, name, n)) {
			error_set(p->err, ST_USAGE, "%s has no flag --%s; `drtool %s` has one", command, wrong, (*c)->name);
			return see_help(p);
		}
	error_set(p->err, ST_USAGE, "%s has no flag %.*s%s", command, (int)strcspn(arg, "="), arg, strstr(arg, "://") ? "..." : "");
	return see_help(p);
}

static enum status set_flag(struct parser *p, const struct setting *row, const char *value)
{
	struct config_values *flags = &p->cli->config.flags;

	if (row->type != SET_LIST && config_get(flags, row->scope, setting_name(row)))
		return error_set(p->err, ST_USAGE, "--%s is given twice", row->flag);
	/* --resume alone is an empty text. */
	if (*value || !flag_optional_value(row)) {
		if (setting_check(row, value, p->err)) {
			p->err->code = ST_USAGE;
			return error_add(p->err, "--%s", row->flag);
		}
	}
	struct config_value *v = config_set(flags, row->scope, setting_name(row), value, row->type == SET_LIST);

	v->secret = row->secret || row->type == SET_SECRET;
	if (!v->origin)
		v->origin = xasprintf("--%s", row->flag);
	return ST_OK;
}

static bool special_flag(struct parser *p, const char *name, size_t n)
{
	static const struct {
		const char *name;
		enum parse_action action;
	} special[] = {{"help", PARSE_HELP}, {"version", PARSE_VERSION}, {"man", PARSE_MAN}};

	for (size_t i = 0; i < ARRAY_LEN(special); i++)
		if (strlen(special[i].name) == n && !memcmp(special[i].name, name, n)) {
			/* `--help --man` is the manual. */
			if (*p->action < special[i].action)
				*p->action = special[i].action;
			return true;
		}
	return false;
}

static enum status parse_long(struct parser *p, const char *arg)
{
	const char *name = arg + 2, *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const struct setting *row = find_flag(p, p->cli->command, name, n);

	if (!row)
		return !equals && special_flag(p, name, n) ? ST_OK : unknown_flag(p, arg, name, n);
	if (equals)
		return set_flag(p, row, equals + 1);
	if (row->type == SET_BOOL)
		return set_flag(p, row, "true");
	if (flag_optional_value(row))
		return set_flag(p, row, "");
	if (p->at >= p->argc) {
		error_set(p->err, ST_USAGE, "--%s needs a value: --%s %s", row->flag, row->flag, row->arg ? row->arg : "VALUE");
		return see_help(p);
	}
	return set_flag(p, row, p->argv[p->at++]);
}

static enum status parse_short(struct parser *p, const char *arg)
{
	for (const char *s = arg + 1; *s; s++) {
		const char *flag = NULL;

		for (size_t i = 0; i < ARRAY_LEN(letters); i++)
			if (letters[i].letter == *s)
				flag = letters[i].flag;
		if (!flag) {
			error_set(p->err, ST_USAGE, "there is no flag -%c", isprint((unsigned char)*s) ? *s : '?');
			return see_help(p);
		}
		if (special_flag(p, flag, strlen(flag)))
			continue;
		const struct setting *row = find_flag(p, p->cli->command, flag, strlen(flag));

		if (!config_get(&p->cli->config.flags, row->scope, setting_name(row)) && set_flag(p, row, "true"))
			return p->err->code;
	}
	return ST_OK;
}

static enum status parse_command(struct parser *p, const char *arg)
{
	const char *names[32];
	size_t n = 0;

	/* A person who asks for help gets it, however the question is put. */
	if (!strcmp(arg, "help")) {
		*p->action = *p->action > PARSE_HELP ? *p->action : PARSE_HELP;
		return ST_OK;
	}
	p->cli->command = command_named(arg);
	if (p->cli->command)
		return ST_OK;
	for (const struct command *const *c = commands; *c && n < ARRAY_LEN(names); c++)
		names[n++] = (*c)->name;
	const char *near = nearest_name(arg, names, n);

	error_set(p->err, ST_USAGE, "there is no command \"%s\"", url_looks_like(arg) ? "(a URL)" : arg);
	return near ? error_hint(p->err, "Did you mean `drtool %s`?", near) : see_help(p);
}

static enum status check_count(struct parser *p)
{
	const struct command *c = p->cli->command;

	if (p->cli->arg.len < c->min_args) {
		error_set(p->err, ST_USAGE, "%s needs %s", c->name, c->args);
		return see_help(p);
	}
	if (p->cli->arg.len <= c->max_args)
		return ST_OK;
	if (!c->max_args) {
		error_set(p->err, ST_USAGE, "%s takes no arguments", c->name);
	} else {
		CLEANUP(cstr_release) char *shown = url_without_secrets(p->cli->arg.item[c->max_args]);

		error_set(p->err, ST_USAGE, "%s takes only %s; \"%s\" is too much", c->name, c->args, shown);
	}
	return see_help(p);
}

/* How the error is to be said may stand behind what is wrong. */
static void parse_rest(struct parser *p)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	p->err = &ignored;
	while (p->at < p->argc) {
		const char *arg = p->argv[p->at++];
		enum status st = ST_OK;

		if (!strcmp(arg, "-q"))
			st = parse_short(p, arg);
		else if (!strcmp(arg, "--quiet") || !strncmp(arg, "--log-format", strlen("--log-format")))
			st = parse_long(p, arg);
		if (st)
			error_release(&ignored);
	}
}

enum status cli_parse(struct cli *cli, int argc, char *const *argv, enum parse_action *action, struct error *err)
{
	struct parser p = {.cli = cli, .argc = argc, .at = 1, .argv = argv, .action = action, .err = err};
	bool only_args = false;

	*action = PARSE_RUN;
	while (p.at < argc) {
		const char *arg = argv[p.at++];
		enum status st;

		if (!only_args && !strcmp(arg, "--")) {
			only_args = true;
			continue;
		}
		if (!only_args && !strncmp(arg, "--", 2))
			st = parse_long(&p, arg);
		else if (!only_args && *arg == '-' && arg[1])
			st = parse_short(&p, arg);
		else if (!cli->command)
			st = parse_command(&p, arg);
		else
			strlist_add(&cli->arg, arg), st = ST_OK;
		if (st) {
			parse_rest(&p);
			return st;
		}
	}
	if (*action != PARSE_RUN)
		return ST_OK;
	if (!cli->command) {
		error_set(err, ST_USAGE, "no command is given");
		return see_help(&p);
	}
	return check_count(&p);
}
