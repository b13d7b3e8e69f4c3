/* --help, from the tables. Every line fits in 80 columns; a test looks. */
#include "commands/command.h"

enum { WIDTH = 80, FLAG_INDENT = 28, NAME_INDENT = 18 };

/* Words from the current column on; lines after the first begin at `indent`. */
static void put_wrapped(struct buf *to, const char *text, size_t column, size_t indent)
{
	bool first = true;

	while (*text) {
		size_t n = strcspn(text, " \n");

		if (!first && column + 1 + n > WIDTH - 1) {
			buf_printf(to, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			buf_putc(to, ' ');
			column++;
		}
		buf_put(to, text, n);
		column += n;
		first = false;
		text += n;
		text += strspn(text, " \n");
	}
	buf_putc(to, '\n');
}

static void put_item(struct buf *to, const char *left, const char *right, size_t indent)
{
	size_t n = strlen(left) + 2;

	buf_printf(to, "  %s", left);
	if (n + 2 > indent)
		buf_printf(to, "\n%*s", (int)indent, "");
	else
		buf_printf(to, "%*s", (int)(indent - n), "");
	put_wrapped(to, right, indent, indent);
}

static const char *letter_of(const struct setting *row)
{
	return !strcmp(row->flag, "quiet") ? "-q, " : !strcmp(row->flag, "verbose") ? "-v, " : "";
}

static void put_flag(void *ctx, const struct setting *row)
{
	CLEANUP(cstr_release) char *left = NULL, *right = NULL;

	left = xasprintf("%s--%s%s%s", letter_of(row), row->flag, flag_takes_value(row) ? " " : "",
			 row->type == SET_BOOL ? ""
			 : row->arg            ? row->arg
					       : "VALUE");
	right = row->def ? xasprintf("%s (%s)", row->help, row->def) : xstrdup(row->help);
	put_item(ctx, left, right, FLAG_INDENT);
}

/* One line per exit status: that of the first of its codes. */
static void put_exits(struct buf *to)
{
	int seen = -1;

	buf_puts(to, "\nExit status:\n");
	for (int code = ST_OK; code <= ST_UNSUPPORTED; code++) {
		int number = status_exit((enum status)code);
		CLEANUP(cstr_release) char *left = NULL;

		if (number <= seen)
			continue;
		seen = number;
		left = number == 130 ? xstrdup("130, 143") : xasprintf("%d", number);
		put_item(to, left, number == 2 ? "wrong use, or wrong or missing configuration" : status_text((enum status)code),
			 NAME_INDENT);
	}
}

const struct environment_word environment_words[] = {
	{"DRTOOL_STORE", "the store, where none is given or configured"},
	{"DRTOOL_CONFIG", "the configuration; else ./drtool.yaml (not as root), then /etc/drtool/drtool.yaml"},
	{"DATABASE_URL", "the SOURCE, where none is named or configured; else MONGODB_URI"},
	{"PG*", "PGHOST, PGPORT, PGUSER, PGPASSWORD, PGSSLROOTCERT complete a SOURCE given as URL"},
	{"MYSQL_*", "MYSQL_HOST, MYSQL_UNIX_PORT, MYSQL_TCP_PORT, MYSQL_USER, MYSQL_PWD, MYSQL_PASSWORD likewise; also MARIADB_*"},
	{"MONGODB_*", "MONGODB_USERNAME, MONGODB_PASSWORD likewise; also MONGO_INITDB_ROOT_USERNAME, MONGO_INITDB_ROOT_PASSWORD"},
	{"NO_COLOR", "no colours"},
	{NULL, NULL},
};

void help_program(const struct config_schema *s, struct buf *to)
{
	buf_puts(to, "Usage: drtool COMMAND [ARGUMENTS] [FLAGS]\n\n");
	put_wrapped(to, program_about, 0, 0);
	buf_puts(to, "\nCommands:\n");
	for (const struct command *const *c = commands; *c; c++)
		put_item(to, (*c)->name, (*c)->summary, NAME_INDENT);
	buf_puts(to, "\nFlags of every command:\n");
	flags_each(s, NULL, put_flag, to);
	put_item(to, "-h, --help", "this text, or that of a command", FLAG_INDENT);
	put_item(to, "--help --man", "the same as a manual page", FLAG_INDENT);
	put_item(to, "--version", "version, databases and libraries", FLAG_INDENT);
	buf_puts(to, "\nEnvironment:\n");
	for (const struct environment_word *e = environment_words; e->name; e++)
		put_item(to, e->name, e->meaning, NAME_INDENT);
	put_exits(to);
	buf_puts(to, "\n`drtool COMMAND --help` says more. `drtool config example` prints every setting.\n");
}

void help_command(const struct config_schema *s, const struct command *c, struct buf *to)
{
	buf_printf(to, "Usage: drtool %s%s%s [FLAGS]\n\n%s.\n\n", c->name, c->args ? " " : "", c->args ? c->args : "", c->summary);
	put_wrapped(to, c->about, 0, 0);
	buf_puts(to, "\nFlags:\n");
	flags_each(s, c, put_flag, to);
	put_item(to, "-h, --help", "this text", FLAG_INDENT);
	if (c->exits)
		buf_printf(to, "\nExit status:\n%s", c->exits);
	else
		put_exits(to);
	if (c->examples)
		buf_printf(to, "\nExamples:\n%s", c->examples);
}
