/* The functions behind driver_mysql; driver.h says what each promises. */
#ifndef DRIVERS_MYSQL_MYDRIVER_H
#define DRIVERS_MYSQL_MYDRIVER_H

#include "drivers/driver.h"

struct my_dump;

enum status my_probe(struct run *run, const struct endpoint *e, bool want_empty, struct probe *p, struct error *err);

enum status my_dump_open(struct run *run, const struct endpoint *e, const struct dump_request *q, struct dump_info *info,
			 void **dump, struct error *err);
enum status my_dump_entries(struct run *run, void *dump, const struct entry_sink *entries, struct error *err);
enum status my_scope_begin(struct run *run, void *dump, size_t i, struct scope_info *info, const struct object_sink *objects,
			   const struct entry_sink *entries, struct error *err);
enum status my_worker_open(struct run *run, void *dump, void **worker, struct error *err);
enum status my_dump_unit(struct run *run, void *worker, const struct dump_unit *u, struct row_sink *rows, struct error *err);
void my_worker_close(void *worker);
enum status my_inventory(struct run *run, void *dump, const struct inventory_sink *items, struct error *err);
enum status my_scope_end(struct run *run, void *dump, const struct entry_sink *entries, struct error *err);
void my_dump_close(void *dump);

enum status my_load_plan(struct run *run, const struct endpoint *e, const struct load_request *q, struct load_plan *p,
			 struct error *err);
enum status my_load_open(struct run *run, const struct endpoint *e, const struct load_request *q, const struct load_plan *p,
			 void **load, struct error *err);
enum status my_load_choose(void *load, size_t i, struct error *err);
enum status my_load_begin(struct run *run, void *load, bool resumed, struct error *err);
bool my_load_wants(void *load, const struct recorded_object *o);
bool my_load_has_unit(void *load, const struct load_unit *u);
enum status my_load_worker_open(struct run *run, void *load, void **worker, struct error *err);
enum status my_load_unit(struct run *run, void *worker, const struct load_unit *u, struct chunk_source *chunks,
			 struct load_unit_result *result, struct error *err);
void my_load_worker_close(void *worker);
enum status my_load_end(struct run *run, void *load, struct error *err);
void my_load_close(void *load, bool complete);

enum status my_exchange(struct run *run, const struct endpoint *e, struct exchange_request *q, struct error *err);
enum status my_assert_query(struct run *run, const struct endpoint *e, const char *database, const char *query, bool *holds,
			    char **answer, struct error *err);
enum status my_scratch_start(struct run *run, const struct scratch_spec *s, char **url, void **scratch, struct error *err);
void my_scratch_stop(void *scratch);

/* Each acts on its own kind of handle; my_interrupt chooses. */
void my_interrupt_dump(struct my_dump *d);
void my_interrupt_worker(void *worker);
void my_interrupt_load(void *load);
void my_interrupt_load_worker(void *worker);
void my_interrupt(void *handle, enum driver_handle kind);

#endif
