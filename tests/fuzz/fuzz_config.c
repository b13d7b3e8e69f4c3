/* Configuration files, URLs, env files and texts of settings: whatever comes in, an error or a value goes out. */
#include "commands/command.h"

#include "core/expand.h"
#include "core/log.h"
#include "core/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *no_env(void *ctx, const char *name)
{
	(void)ctx;
	return strlen(name) % 2 ? "a@b/c%" : NULL;
}

static void no_pair(void *ctx, const char *name, const char *value, unsigned line)
{
	(void)ctx;
	if (!*name || !line || (value && strlen(value) > 4u << 20))
		die("env_file gave a pair that cannot be");
}

/* A URL that was taken, printed and taken again is the same. */
static void try_url(const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(url_release) struct url u = URL_INIT, again = URL_INIT;
	CLEANUP(cstr_release) char *clean = url_without_secrets(text);

	if (strlen(clean) > strlen(text))
		die("a URL without secrets is longer than with them");
	if (url_parse(text, &u, &err))
		return;
	CLEANUP(cstr_release) char *printed = url_print(&u, true), *name = url_source_name(&u), *twice = NULL;

	if (!*name || strlen(name) > 100)
		die("a source name of no use");
	if (url_parse(printed, &again, &err))
		die("a printed URL is not taken again");
	twice = url_print(&again, true);
	if (strcmp(printed, twice))
		die("a URL changes when it is printed twice");
}

static void try_config(struct cli *cli, const void *text, size_t size)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(config_release) struct config c = CONFIG_INIT;
	const struct bind bind = {&c};

	if (config_read(&cli->schema, "f.yaml", text, size, &c, &err)) {
		if (strncmp(error_text(&err), "f.yaml:", 7))
			die("an error of a configuration does not say where");
		return;
	}
	for (size_t i = 0; i < c.sources; i++) {
		CLEANUP(op_source_release) struct op_source s = {0};

		if (bind_source(cli->run, &bind, c.source[i].name, NULL, false, &s, &err))
			error_release(&err);
	}
	for (size_t i = 0; i < c.stores; i++) {
		CLEANUP(op_store_release) struct op_store s = {0};

		if (bind_store(cli->run, &bind, c.store[i].name, &s, &err))
			error_release(&err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cli cli;
	static struct run run = RUN_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf expanded = BUF_INIT, visible = BUF_INIT;
	CLEANUP(cstr_release) char *text = xstrndup((const char *)data, size);
	const struct expand_env env = {no_env, NULL};
	const struct env_file_spec spec = {"f.env", &env, no_pair, NULL};

	if (!cli.run)
		cli_init(&cli, &run);
	try_config(&cli, data, size);
	try_url(text);
	if (expand_text(text, &env, &expanded, &err))
		error_release(&err);
	if (env_file_parse(&spec, text, &err))
		error_release(&err);
	log_visible(&visible, text);
	for (size_t i = 0; i < visible.len; i++)
		if ((unsigned char)visible.data[i] < 0x20 || visible.data[i] == 0x7f)
			die("a control character passed");
	for (size_t g = 0; g < cli.schema.groups; g++)
		for (const struct setting *row = cli.schema.group[g].rows; !setting_is_end(row); row++)
			if (setting_check(row, text, &err))
				error_release(&err);
	return 0;
}
