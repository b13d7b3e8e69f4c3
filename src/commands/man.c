/* Manual pages in man(7) macros, from the same tables as --help. */
#include "commands/command.h"

/* Text for troff: backslashes, dashes, and dots and quotes at the start of a line. */
static void put_text(struct buf *to, const char *text)
{
	bool start = true;

	for (; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			buf_puts(to, "\\&");
		start = *text == '\n';
		if (*text == '\\')
			buf_puts(to, "\\e");
		else if (*text == '-')
			buf_puts(to, "\\-");
		else
			buf_putc(to, *text);
	}
}

static void put_item(struct buf *to, const char *left, const char *right)
{
	buf_puts(to, ".TP\n\\fB");
	put_text(to, left);
	buf_puts(to, "\\fR\n");
	put_text(to, right);
	buf_puts(to, "\n");
}

static void put_flag(void *ctx, const struct setting *row)
{
	const char *arg = row->type == SET_BOOL ? "" : row->arg ? row->arg : "VALUE";
	CLEANUP(cstr_release) char *left = xasprintf("--%s%s%s", row->flag, flag_takes_value(row) ? " " : "", arg);
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	buf_puts(&text, row->help);
	if (row->def)
		buf_printf(&text, " (%s)", row->def);
	buf_putc(&text, '.');
	if (row->key)
		buf_printf(&text, " In the configuration: %s.", row->key);
	if (row->env && (row->scope == SCOPE_GLOBAL || row->scope == SCOPE_STORE))
		buf_printf(&text, " Environment: %s.", row->env);
	put_item(ctx, left, buf_str(&text));
}

/* Every exit status once, with the texts of all its codes. */
static void put_exits(struct buf *to)
{
	buf_puts(to, ".SH EXIT STATUS\n");
	for (int number = 0; number <= status_exit(ST_CANCELLED); number++) {
		CLEANUP(buf_release) struct buf texts = BUF_INIT;
		CLEANUP(cstr_release) char *left = xasprintf("%d%s", number, number == status_exit(ST_CANCELLED) ? ", 143" : "");

		for (int code = ST_OK; code <= ST_UNSUPPORTED; code++)
			if (status_exit((enum status)code) == number)
				buf_printf(&texts, "%s%s", texts.len ? "; " : "", status_text((enum status)code));
		if (texts.len)
			put_item(to, left, buf_str(&texts));
	}
}

static void put_lines(struct buf *to, const char *text)
{
	buf_puts(to, ".nf\n");
	put_text(to, text);
	buf_puts(to, ".fi\n");
}

static void put_settings(const struct config_schema *s, enum setting_scope scope, const char *title, struct buf *to)
{
	buf_printf(to, ".SS %s\n", title);
	for (size_t g = 0; g < s->groups; g++)
		for (const struct setting *row = s->group[g].rows; !setting_is_end(row); row++) {
			CLEANUP(buf_release) struct buf text = BUF_INIT;

			if (row->scope != scope || !row->key)
				continue;
			buf_printf(&text, "%s%s%s%s%s.", row->help, row->def ? " (" : "", row->def ? row->def : "",
				   row->def ? ")" : "", row->type == SET_SECRET ? "; or as _file or _command" : "");
			if (row->env && scope != SCOPE_SOURCE)
				buf_printf(&text, " Environment: %s.", row->env);
			if (s->group[g].owner)
				buf_printf(&text, " Only %s.", s->group[g].owner);
			put_item(to, row->key, buf_str(&text));
		}
}

static void program_page(const struct config_schema *s, struct buf *to)
{
	buf_puts(to, ".SH NAME\ndrtool \\- backup and disaster recovery of databases\n"
		     ".SH SYNOPSIS\n.B drtool\nCOMMAND [ARGUMENTS] [FLAGS]\n.SH DESCRIPTION\n");
	put_text(to, program_about);
	buf_puts(to, ".SH COMMANDS\n");
	for (const struct command *const *c = commands; *c; c++)
		put_item(to, (*c)->name, (*c)->summary);
	buf_puts(to, ".SH FLAGS OF EVERY COMMAND\n");
	flags_each(s, NULL, put_flag, to);
	put_item(to, "--help", "a summary; with --man, this page");
	put_item(to, "--version", "version, databases and libraries");
	buf_puts(to, ".SH ENVIRONMENT\n");
	for (const struct environment_word *e = environment_words; e->name; e++)
		put_item(to, e->name, e->meaning);
	buf_puts(to,
		 ".SH CONFIGURATION\n"
		 "YAML, read from \\fB\\-\\-config\\fR, $DRTOOL_CONFIG, ./drtool.yaml (not as root) or /etc/drtool/drtool.yaml.\n");
	put_settings(s, SCOPE_GLOBAL, "At the top", to);
	put_settings(s, SCOPE_STORE, "Of a store, below stores:", to);
	put_settings(s, SCOPE_SOURCE, "Of a source, below sources: or defaults:", to);
}

static void command_page(const struct config_schema *s, const struct command *c, struct buf *to)
{
	buf_printf(to, ".SH NAME\ndrtool\\-%s \\- %s\n.SH SYNOPSIS\n.B drtool %s\n%s [FLAGS]\n.SH DESCRIPTION\n", c->name,
		   c->summary, c->name, c->args ? c->args : "");
	put_text(to, c->about);
	buf_puts(to, ".SH FLAGS\n");
	flags_each(s, c, put_flag, to);
	put_item(to, "--help", "a summary; with --man, this page");
	if (c->examples) {
		buf_puts(to, ".SH EXAMPLES\n");
		put_lines(to, c->examples);
	}
}

void man_page(const struct config_schema *s, const struct command *c, struct buf *to)
{
	CLEANUP(cstr_release) char *title = c ? xasprintf("drtool-%s", c->name) : xstrdup("drtool");

	for (char *p = title; *p; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	buf_puts(to, ".TH \"");
	put_text(to, title);
	buf_printf(to, "\" 1 \"\" \"drtool %s\"\n.nh\n.ad l\n", DRTOOL_VERSION);
	if (c)
		command_page(s, c, to);
	else
		program_page(s, to);
	if (c && c->exits) {
		buf_puts(to, ".SH EXIT STATUS\n");
		put_lines(to, c->exits);
	} else {
		put_exits(to);
	}
	buf_puts(to, ".SH SEE ALSO\n");
	const char *before = "";

	for (const struct command *const *other = commands; *other; other++)
		if (*other != c) {
			buf_printf(to, "%sdrtool\\-%s(1)", before, (*other)->name);
			before = ", ";
		}
	buf_putc(to, '\n');
}
