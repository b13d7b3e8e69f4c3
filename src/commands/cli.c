/* One run of the program: flags, configuration, command, error, exit status. */
#include "commands/command.h"

#include <errno.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "core/config_text.h"
#include "core/log.h"
#include "core/url.h"
#include "ops/rows.h"

/* Asks on the terminal. A signal ends the wait. */
static bool ask(void *ctx, const char *question)
{
	struct cli *cli = ctx;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf shown = BUF_INIT;
	char answer[64];
	bool ready = false;

	atomic_store(&cli->progress.paused, true);
	log_visible(&shown, question);
	fprintf(stderr, "%s%s [y/N] ", log_to_terminal() ? "\r\033[K" : "", buf_str(&shown));
	fflush(stderr);
	while (!ready)
		if (run_poll(cli->run, STDIN_FILENO, POLLIN, DURATION_SECONDS(3600), &ready, &err))
			break;
	ssize_t n = ready ? read(STDIN_FILENO, answer, sizeof(answer) - 1) : 0;

	atomic_store(&cli->progress.paused, false);
	answer[n > 0 ? n : 0] = 0;
	answer[strcspn(answer, "\r\n")] = 0;
	return !strcasecmp(answer, "y") || !strcasecmp(answer, "yes");
}

/* One line from the terminal, without echo. A signal ends the wait, and the terminal is as before. */
static enum status ask_secret(void *ctx, const char *question, char **text, struct error *err)
{
	struct cli *cli = ctx;
	CLEANUP(buf_release) struct buf shown = BUF_INIT;
	char line[1024];
	struct termios was, quiet;
	bool ready = false, echo = !tcgetattr(STDIN_FILENO, &was);

	/* Before the question: what is typed as soon as it is seen is neither shown nor thrown away. */
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	if (echo)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	atomic_store(&cli->progress.paused, true);
	log_visible(&shown, question);
	fprintf(stderr, "%s%s", log_to_terminal() ? "\r\033[K" : "", buf_str(&shown));
	fflush(stderr);
	enum status st = ST_OK;

	while (!st && !ready)
		st = run_poll(cli->run, STDIN_FILENO, POLLIN, DURATION_SECONDS(3600), &ready, err);
	ssize_t n = ready ? read(STDIN_FILENO, line, sizeof(line) - 1) : 0;

	if (echo)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	fputc('\n', stderr);
	atomic_store(&cli->progress.paused, false);
	if (!st && n == sizeof(line) - 1 && line[n - 1] != '\n')
		st = error_set(err, ST_CONFIG, "a passphrase may have %zu bytes at most", sizeof(line) - 2);
	line[n > 0 ? n : 0] = 0;
	line[strcspn(line, "\r\n")] = 0;
	if (!st && !*line)
		st = error_set(err, ST_CONFIG, "no passphrase was given");
	if (!st)
		*text = xstrdup(line);
	secure_zero(line, sizeof(line));
	return st;
}

static void say(void *ctx, const char *line)
{
	struct cli *cli = ctx;

	log_line(cli->run, LOG_INFO, "%s", line);
}

void cli_init(struct cli *cli, struct run *run)
{
	const struct setting_group own[] = {{.rows = program_rows}, {.rows = command_rows}};
	size_t n = 0;

	*cli = (struct cli)CLI_INIT;
	cli->run = run;
	cli->schema.group = settings_groups(own, ARRAY_LEN(own), &n);
	cli->schema.groups = n;
	cli->schema.source_name_valid = source_name_valid;
	cli->on_terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	cli->env = (struct op_env){
		.run = run, .global = &cli->global, .notes = notes_new(), .progress = &cli->progress, .say = say, .ctx = cli};
}

void cli_release(struct cli *cli)
{
	struct setting_group *groups = (struct setting_group *)(uintptr_t)cli->schema.group;

	settings_release(command_rows, &cli->f);
	settings_release(program_rows, &cli->p);
	settings_release(global_rows, &cli->global);
	config_release(&cli->config);
	for (size_t i = 0; i < cli->arg.len; i++)
		secure_zero(cli->arg.item[i], strlen(cli->arg.item[i]));
	strlist_release(&cli->arg);
	notes_freep(&cli->env.notes);
	seal_identities_freep(&cli->env.identities);
	buf_release(&cli->config_text);
	strlist_release(&cli->config_keys);
	free(groups);
	*cli = (struct cli)CLI_INIT;
}

static void start_log(const struct cli *cli)
{
	const char *no_color = getenv("NO_COLOR");

	log_setup(&(struct log_config){
		.level = cli->p.quiet ? LOG_ERROR : cli->p.verbose ? LOG_DEBUG : LOG_INFO,
		.format = cli->p.log_format ? LOG_JSON : LOG_TEXT,
		.color = isatty(STDERR_FILENO) && (!no_color || !*no_color),
	});
}

/* How things are said is settled before anything can go wrong, as far as flags and environment say. */
static enum status fill_program(struct cli *cli, struct error *err)
{
	enum status st = config_fill(&cli->config, SCOPE_GLOBAL, NULL, program_rows, &cli->p, err);

	start_log(cli);
	return st;
}

/* What a backup stores of the configuration, and whom it is sealed for where any source is. */
static void take_config_text(struct cli *cli)
{
	config_text(&cli->schema, &cli->config, &cli->config_text);
	for (size_t i = 0; i < cli->config.sources; i++) {
		const struct config_value *v = config_get(&cli->config.source[i].values, SCOPE_SOURCE, "encrypt_to");

		for (size_t k = 0; v && k < v->text.len; k++)
			strlist_add_once(&cli->config_keys, v->text.item[k]);
	}
	cli->env.config_keys = &cli->config_keys;
}

static enum status prepare(struct cli *cli, struct error *err)
{
	const struct bind bind = {&cli->config};

	if (cli->command->needs & NEED_CONFIG) {
		if (config_load(&cli->schema, cli->p.config, &cli->config, err) || fill_program(cli, err))
			return err->code;
	} else if (config_read_env(&cli->schema, &cli->config, err)) {
		return err->code;
	}
	if (bind_global(&bind, &cli->global, err) || config_fill(&cli->config, SCOPE_COMMAND, NULL, command_rows, &cli->f, err))
		return err->code;
	if (cli->config.path)
		take_config_text(cli);
	cli->env.config_text = cli->config.path ? buf_str(&cli->config_text) : NULL;
	cli->env.yes = cli->f.yes;
	cli->env.ask = cli->on_terminal ? ask : NULL;
	cli->env.ask_secret = cli->on_terminal ? ask_secret : NULL;
	return ST_OK;
}

static enum status check_tables(struct error *err)
{
	for (const struct driver *const *d = drivers; *d; d++)
		if (driver_check(*d, err))
			return err->code;
	for (const struct storage_ops *const *s = storages; *s; s++)
		if (storage_check(*s, err))
			return err->code;
	return ST_OK;
}

static void show_text(const struct cli *cli, enum parse_action action)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	if (action == PARSE_VERSION)
		version_text(&b);
	else if (action == PARSE_MAN)
		man_page(&cli->schema, cli->command, &b);
	else if (cli->command)
		help_command(&cli->schema, cli->command, &b);
	else
		help_program(&cli->schema, &b);
	out_text(buf_str(&b));
}

static void warn_password(const struct cli *cli)
{
	const char *variable = NULL;

	for (size_t i = 0; i < cli->arg.len && !variable; i++)
		variable = bind_password_variable(cli->arg.item[i]);
	log_line(cli->run, LOG_WARN, "a password on the command line can be seen by others until drtool hides it; put it in %s%s%s",
		 variable ? variable : "", variable ? ", or in " : "", "password_file: of the configuration");
}

static enum status run_command(struct cli *cli, int argc, char *const *argv, bool scrubbed, struct error *err)
{
	enum parse_action action;
	enum status parsed = cli_parse(cli, argc, argv, &action, err), st;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	/* Even the complaint about a flag is said in the format that the other flags ask for, and help comes whatever is wrong. */
	struct error *trouble = parsed || action != PARSE_RUN ? &ignored : err;

	if (config_read_env(&cli->schema, &cli->config, trouble) || fill_program(cli, trouble))
		start_log(cli);
	if (err->code)
		return err->code;
	if (action != PARSE_RUN) {
		show_text(cli, action);
		return out_flush(err);
	}
	if (check_tables(err))
		return err->code;
	if (scrubbed)
		warn_password(cli);
	st = prepare(cli, err);
	if (!st)
		st = cli->command->run(cli, err);
	out_notes(cli);
	CLEANUP(error_release) struct error flushed = ERROR_INIT;

	if (out_flush(&flushed) && !st)
		st = error_move(err, &flushed);
	return st;
}

static char **copy_args(int argc, char *const *argv)
{
	char **copy = xcalloc((size_t)argc + 1, sizeof(*copy));

	for (int i = 0; i < argc; i++)
		copy[i] = xstrdup(argv[i]);
	return copy;
}

static void free_args(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		secret_text_release(&argv[i]);
	free(argv);
}

/* What to do where the error itself does not say. */
static char *next_command(const struct cli *cli)
{
	if (!cli->command)
		return NULL;
	const char *source = cli->arg.len && !url_looks_like(cli->arg.item[0]) ? cli->arg.item[0] : NULL;

	return xasprintf("Next: `drtool %s%s%s --verbose` says more.", cli->command->name, source ? " " : "", source ? source : "");
}

static int finish(struct cli *cli, enum status st, const struct error *err)
{
	CLEANUP(cstr_release) char *next = NULL;
	int signal = cancel_signal(cli->run->cancel);

	if (st && !cli->reported) {
		next = cli->p.quiet && !err->hint ? next_command(cli) : NULL;
		out_error(cli, NULL, next, err);
	}
	if (st && signal)
		return 128 + signal;
	/* For a monitor, a status that could not be had is "unknown". */
	if (st && cli->command && cli->command->bit == CMD_STATUS && status_exit(st) != 2)
		return HEALTH_UNKNOWN;
	if (!st && cli->exit_code >= 0)
		return cli->exit_code;
	return status_exit(st);
}

int cli_main(struct run *run, int argc, char **argv)
{
	CLEANUP(cli_release) struct cli cli;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	char **copy = copy_args(argc, argv), run_id[7];
	bool scrubbed = url_scrub_args(argc, argv);

	run_random_hex(run, run_id, 6);
	run->run_id = run_id;
	cli_init(&cli, run);
	enum status st = run_command(&cli, argc, copy, scrubbed, &err);
	int exit_code = finish(&cli, st, &err);

	free_args(argc, copy);
	run->run_id = NULL;
	return exit_code;
}
