#include "commands/command.h"

#include "core/log.h"

void table_init(struct table *t, size_t columns, const char *const *head)
{
	*t = (struct table){.columns = columns};
	for (size_t i = 0; i < columns; i++)
		table_cell(t, head[i]);
}

void table_cell(struct table *t, const char *text)
{
	struct buf b = BUF_INIT;

	log_visible(&b, text && *text ? text : "-");
	strlist_take(&t->cell, buf_detach(&b));
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = xvasprintf(fmt, ap);

	va_end(ap);
	table_cell(t, text);
	free(text);
}

size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void put_spaces(struct buf *to, size_t n)
{
	while (n--)
		buf_putc(to, ' ');
}

void table_print(const struct table *t, struct buf *to)
{
	size_t *width = xcalloc(t->columns, sizeof(*width));

	for (size_t i = 0; i < t->cell.len; i++) {
		size_t w = text_width(t->cell.item[i]);

		if (w > width[i % t->columns])
			width[i % t->columns] = w;
	}
	for (size_t i = 0; i < t->cell.len; i++) {
		size_t column = i % t->columns, pad = width[column] - text_width(t->cell.item[i]);
		bool last = column + 1 == t->columns, right = t->right >> column & 1;

		if (right)
			put_spaces(to, pad);
		buf_puts(to, t->cell.item[i]);
		if (last)
			buf_putc(to, '\n');
		else
			put_spaces(to, (right ? 0 : pad) + 2);
	}
	free(width);
}

void table_release(struct table *t)
{
	strlist_release(&t->cell);
	*t = (struct table){0};
}

char *text_size(uint64_t bytes)
{
	struct buf b = BUF_INIT;

	size_print(bytes, &b);
	return buf_detach(&b);
}

char *text_count(uint64_t n, const char *noun)
{
	return xasprintf("%" PRIu64 " %s%s", n, noun, n == 1 ? "" : "s");
}

char *text_duration(struct duration d)
{
	struct buf b = BUF_INIT;

	duration_print(d, &b);
	return buf_detach(&b);
}
