#include "commands/cmd.h"

#include "core/log.h"

const char program_about[] = "Backs databases up as files that stock tools open, restores them beside what is\n"
			     "there, and proves by real restores that the backups are good.\n";

struct progress_display *cmd_begin(struct cli *cli, const char *source)
{
	cli->run->source = source;
	cli->progress = (struct progress)PROGRESS_INIT;
	return progress_show(cli->run, &cli->progress, cli->p.quiet);
}

void cmd_end(struct cli *cli, struct progress_display **bar)
{
	progress_hide(bar);
	out_notes(cli);
	cli->run->source = NULL;
}

void cmd_print_lines(const struct cli *cli, const char *text)
{
	size_t n = strlen(text);

	if (n && !cli->p.quiet)
		out_printf("%s%s", text, text[n - 1] == '\n' ? "" : "\n");
}

void outcomes_drop_absent(struct op_outcomes *o)
{
	size_t absent = 0, kept = 0;

	for (size_t i = 0; i < o->n; i++)
		absent += o->item[i].err.code == ST_NOT_FOUND;
	if (absent == o->n)
		return;
	for (size_t i = 0; i < o->n; i++) {
		if (o->item[i].err.code == ST_NOT_FOUND) {
			free(o->item[i].what);
			error_release(&o->item[i].err);
		} else {
			o->item[kept++] = o->item[i];
		}
	}
	o->n = kept;
}

enum status each_store(struct cli *cli, const struct op_source *s, const struct each_store *e, struct error *err)
{
	CLEANUP(picked_stores_release) struct picked_stores from = PICKED_INIT;
	CLEANUP(op_outcomes_release) struct op_outcomes here = {0};

	if (pick_from(cli, s, &from, err))
		return err->code;
	for (size_t i = 0; i < from.n; i++) {
		const char *store = from.item[i].name;
		CLEANUP(cstr_release) char *what = from.n > 1 ? xasprintf("%s in %s", s->name, store) : xstrdup(s->name);
		struct error one = ERROR_INIT;

		if (e->fn(cli, s, &from.item[i], &one) == ST_CANCELLED)
			return error_move(err, &one);
		op_outcomes_add(&here, what, &one);
	}
	outcomes_drop_absent(&here);
	for (size_t i = 0; i < here.n; i++)
		op_outcomes_add(e->outcomes, here.item[i].what, &here.item[i].err);
	return ST_OK;
}
