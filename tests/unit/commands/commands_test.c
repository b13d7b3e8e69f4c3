#include "commands/command.h"

#include "tests/lib/test.h"

/* A program for one test. */
static struct run run = RUN_INIT;

static void count_row(void *ctx, const struct setting *row)
{
	(void)row;
	++*(size_t *)ctx;
}

static void widths(const char *text, const char *of)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		CLEANUP(cstr_release) char *line = xstrndup(text, n);

		if (text_width(line) > 80)
			test_fail(__FILE__, __LINE__, "the help of %s has a line of %zu columns: %s", of, text_width(line), line);
		text += n + (text[n] == '\n');
	}
}

TEST("commands: every setting has a line of help, a type with what it needs, and an environment variable only where that holds")
{
	CLEANUP(cli_release) struct cli cli;
	size_t rows = 0;

	cli_init(&cli, &run);
	for (size_t g = 0; g < cli.schema.groups; g++)
		for (const struct setting *row = cli.schema.group[g].rows; !setting_is_end(row); row++, rows++) {
			CHECK(row->key || row->flag);
			CHECK(*row->help && row->help[strlen(row->help) - 1] != '.');
			CHECK((row->type == SET_CHOICE) == (row->choices != NULL));
			CHECK(!row->env || row->scope == SCOPE_GLOBAL || row->scope == SCOPE_STORE);
			CHECK(!row->env || !strncmp(row->env, "DRTOOL_", 7));
			CHECK(row->scope != SCOPE_COMMAND || !row->key);
			CHECK(!row->flag == !row->commands);
		}
	CHECK(rows > 60);
}

TEST("commands: defaults are values that the parser takes")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	cli_init(&cli, &run);
	for (size_t g = 0; g < cli.schema.groups; g++)
		for (const struct setting *row = cli.schema.group[g].rows; !setting_is_end(row); row++)
			if (row->def)
				CHECK_OK(setting_check(row, row->def, &err), err);
}

TEST("commands: help fits in 80 columns")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	cli_init(&cli, &run);
	help_program(&cli.schema, &b);
	widths(buf_str(&b), "drtool");
	for (const struct command *const *c = commands; *c; c++) {
		buf_clear(&b);
		help_command(&cli.schema, *c, &b);
		widths(buf_str(&b), (*c)->name);
	}
}

struct seen {
	const char *help, *man, *bash, *zsh, *fish;
	struct strlist flags;
};

static void check_flag(void *ctx, const struct setting *row)
{
	struct seen *s = ctx;
	CLEANUP(cstr_release) char *dashed = xasprintf("--%s", row->flag), *fish = xasprintf(" -l %s ", row->flag);
	CLEANUP(buf_release) struct buf man = BUF_INIT;

	/* No command has two flags of one name. */
	CHECK(!strlist_has(&s->flags, row->flag));
	strlist_add(&s->flags, row->flag);
	for (const char *p = dashed; *p; p++)
		buf_printf(&man, *p == '-' ? "\\%c" : "%c", *p);
	CHECK_HAS(s->help, dashed);
	CHECK_HAS(s->man, buf_str(&man));
	CHECK_HAS(s->bash, dashed);
	CHECK_HAS(s->zsh, dashed);
	CHECK_HAS(s->fish, fish);
}

TEST("commands: help, manual and completions list the same flags")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf bash = BUF_INIT, zsh = BUF_INIT, fish = BUF_INIT;

	cli_init(&cli, &run);
	CHECK_OK(completion_script(&cli.schema, "bash", &bash, &err), err);
	CHECK_OK(completion_script(&cli.schema, "zsh", &zsh, &err), err);
	CHECK_OK(completion_script(&cli.schema, "fish", &fish, &err), err);
	CHECK_ERR(completion_script(&cli.schema, "tcsh", &fish, &err), err, ST_USAGE, "no completion for \"tcsh\"");
	for (const struct command *const *c = commands; *c; c++) {
		CLEANUP(buf_release) struct buf help = BUF_INIT, man = BUF_INIT;
		struct seen s = {0};

		help_command(&cli.schema, *c, &help);
		man_page(&cli.schema, *c, &man);
		s = (struct seen){.help = buf_str(&help),
				  .man = buf_str(&man),
				  .bash = buf_str(&bash),
				  .zsh = buf_str(&zsh),
				  .fish = buf_str(&fish)};
		flags_each(&cli.schema, *c, check_flag, &s);
		strlist_release(&s.flags);
	}
}

TEST("commands: the example configuration is accepted, as it is and with every comment taken off")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config as_it_is = CONFIG_INIT, all = CONFIG_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT, bare = BUF_INIT;

	cli_init(&cli, &run);
	config_example(&cli.schema, &text);
	CHECK_OK(config_read(&cli.schema, "example", text.data, text.len, &as_it_is, &err), err);
	for (const char *s = buf_str(&text); *s;) {
		size_t n = strcspn(s, "\n"), indent = strspn(s, " ");
		bool off = !strncmp(s + indent, "# ", 2) &&
			   strspn(s + indent + 2, " abcdefghijklmnopqrstuvwxyz_") + indent + 2 < n &&
			   s[indent + 2 + strspn(s + indent + 2, " abcdefghijklmnopqrstuvwxyz_")] == ':' &&
			   !strstr(s, "# drtool.yaml") && strncmp(s, "# env_file", 10);

		if (off)
			buf_printf(&bare, "%.*s%.*s\n", (int)indent, s, (int)(n - indent - 2), s + indent + 2);
		else
			buf_printf(&bare, "%.*s\n", (int)n, s);
		s += n + (s[n] == '\n');
	}
	CHECK_HAS(buf_str(&bare), "\njobs: 3");
	CHECK_HAS(buf_str(&bare), "\n    keep:\n      last: 3");
	CHECK_OK(config_read(&cli.schema, "bare", bare.data, bare.len, &all, &err), err);
	CHECK(config_source(&all, "shop") && config_store(&all, "local"));
}

TEST("commands: the manual pages name every setting of the configuration")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(buf_release) struct buf man = BUF_INIT;

	cli_init(&cli, &run);
	man_page(&cli.schema, NULL, &man);
	for (size_t g = 0; g < cli.schema.groups; g++)
		for (const struct setting *row = cli.schema.group[g].rows; !setting_is_end(row); row++)
			if (row->key) {
				CLEANUP(cstr_release) char *item = xasprintf("\\fB%s\\fR", row->key);

				CHECK_HAS(buf_str(&man), item);
			}
}

/* ---- the parser ---- */

#define PARSE(...) parse(&cli, &action, &err, (const char *const[]){"drtool", __VA_ARGS__, NULL})
static enum status parse(struct cli *cli, enum parse_action *action, struct error *err, const char *const *argv)
{
	int n = 0;

	cli_release(cli);
	cli_init(cli, &run);
	while (argv[n])
		n++;
	return cli_parse(cli, n, (char *const *)(uintptr_t)argv, action, err);
}

static const char *flag(const struct cli *cli, enum setting_scope scope, const char *name)
{
	const struct config_value *v = config_get(&cli->config.flags, scope, name);

	return v ? v->text.item[v->text.len - 1] : NULL;
}

TEST("command line: flags before and behind the command, with = and without, and -- ends them")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	enum parse_action action;

	cli_init(&cli, &run);
	CHECK_OK(PARSE("-q", "--config", "/c", "backup", "shop", "--jobs=4", "--tag", "a=b", "--tag", "c=d", "--prune", "orders",
		       "--", "--all"),
		 err);
	CHECK_STR(cli.command->name, "backup");
	CHECK_INT(cli.arg.len, 3);
	CHECK_STR(cli.arg.item[2], "--all");
	CHECK_STR(flag(&cli, SCOPE_GLOBAL, "jobs"), "4");
	CHECK_STR(flag(&cli, SCOPE_GLOBAL, "config"), "/c");
	CHECK_STR(flag(&cli, SCOPE_GLOBAL, "quiet"), "true");
	CHECK_INT(config_get(&cli.config.flags, SCOPE_COMMAND, "tag")->text.len, 2);
	CHECK_STR(flag(&cli, SCOPE_COMMAND, "prune"), "true");
	CHECK_OK(PARSE("restore", "shop", "--resume"), err);
	CHECK_STR(flag(&cli, SCOPE_COMMAND, "resume"), "");
	CHECK_OK(PARSE("restore", "--resume=3fa2c1", "shop"), err);
	CHECK_STR(flag(&cli, SCOPE_COMMAND, "resume"), "3fa2c1");
	CHECK_OK(PARSE("prune", "shop", "--keep-daily", "7"), err);
	CHECK_STR(flag(&cli, SCOPE_SOURCE, "keep.daily"), "7");
}

TEST("command line: help, version and the manual come whatever else is there")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	enum parse_action action;

	cli_init(&cli, &run);
	CHECK_OK(PARSE("--version"), err);
	CHECK_INT(action, PARSE_VERSION);
	CHECK_OK(PARSE("restore", "--help"), err);
	CHECK_INT(action, PARSE_HELP);
	CHECK_STR(cli.command->name, "restore");
	CHECK_OK(PARSE("help", "restore"), err);
	CHECK_INT(action, PARSE_HELP);
	CHECK_STR(cli.command->name, "restore");
	CHECK_OK(PARSE("--help", "--man", "list"), err);
	CHECK_INT(action, PARSE_MAN);
	CHECK_OK(PARSE("-h"), err);
	CHECK_INT(action, PARSE_HELP);
}

TEST("command line: what is wrong is named with what was meant")
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	enum parse_action action;

	cli_init(&cli, &run);
	CHECK_ERR(PARSE("bakcup"), err, ST_USAGE, "there is no command \"bakcup\"");
	CHECK_ERR(PARSE("backup", "--jbos", "3"), err, ST_USAGE, "backup has no flag --jbos; did you mean --jobs?");
	CHECK_ERR(PARSE("backup", "--salvage"), err, ST_USAGE, "backup has no flag --salvage; `drtool restore` has one");
	CHECK_ERR(PARSE("backup", "--sign-with", "x"), err, ST_USAGE, "backup has no flag --sign-with");
	CHECK_ERR(PARSE("backup", "--jobs"), err, ST_USAGE, "--jobs needs a value: --jobs N");
	CHECK_ERR(PARSE("backup", "--jobs", "x"), err, ST_USAGE, "--jobs: not a number: \"x\"");
	CHECK_ERR(PARSE("backup", "--jobs", "1", "--jobs", "2"), err, ST_USAGE, "--jobs is given twice");
	CHECK_ERR(PARSE("backup", "-x"), err, ST_USAGE, "there is no flag -x");
	CHECK_ERR(PARSE("restore"), err, ST_USAGE, "restore needs SOURCE");
	CHECK_ERR(PARSE("list", "a", "b"), err, ST_USAGE, "list takes only [SOURCE]; \"b\" is too much");
	CHECK_ERR(PARSE("-q"), err, ST_USAGE, "no command is given");
	CHECK_ERR(PARSE("list", "a", "postgres://u:geheim@h/d"), err, ST_USAGE, "\"postgres://u@h/d\" is too much");
	CHECK_ERR(PARSE("postgres://u:geheim@h/d"), err, ST_USAGE, "there is no command");
	CHECK_OK(PARSE("backup", "-qvq", "--prune"), err);
}

TEST("commands: none that belongs to a later day is there")
{
	static const char *const later[] = {"follow", "find", "wal", "recover", "report", "schedule", "flush-cache"};
	CLEANUP(cli_release) struct cli cli;
	size_t flags = 0;

	cli_init(&cli, &run);
	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		CHECK(!command_named(later[i]));
	flags_each(&cli.schema, command_named("list"), count_row, &flags);
	CHECK(flags > 5);
}

/* ---- tables ---- */

TEST("table: columns are as wide as their widest cell, names cannot break out")
{
	static const char *const head[] = {"NAME", "SIZE", "WHY"};
	CLEANUP(table_release) struct table t = {0};
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	table_init(&t, 3, head);
	t.right = 1u << 1;
	table_cell(&t, "größe");
	table_cellf(&t, "%d", 5);
	table_cell(&t, "");
	table_cell(&t, "a\nb\033[2J");
	table_cellf(&t, "%d", 12345);
	table_cell(&t, "x");
	table_print(&t, &b);
	CHECK_STR(buf_str(&b), "NAME          SIZE  WHY\n"
			       "größe            5  -\n"
			       "a\\nb\\x1b[2J  12345  x\n");
}
