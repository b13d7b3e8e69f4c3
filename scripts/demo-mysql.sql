-- A shop of about 50 MB for MariaDB and MySQL, with what real schemas have: types, partitions, foreign keys, triggers, views, routines, events.
-- @part: so many times smaller.
set names utf8mb4;
set time_zone = '+00:00';
set @part = coalesce(@part, 1);

create temporary table digits (n int primary key);
insert into digits values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
create table numbers (i int primary key);
insert into numbers select 1 + n from digits;
insert into numbers select n.i + 10 * d.n from numbers n, digits d where d.n > 0;
insert into numbers select n.i + 100 * d.n from numbers n, digits d where d.n > 0;
insert into numbers select n.i + 1000 * d.n from numbers n, digits d where d.n > 0;
insert into numbers select n.i + 10000 * d.n from numbers n, digits d where d.n > 0;

create table customers (
	id bigint unsigned not null auto_increment primary key,
	public_id binary(16) not null,
	name varchar(80) not null,
	mail varchar(120) character set ascii not null,
	city varchar(40) not null,
	newsletter bit(1) not null default b'0',
	preferences json not null,
	created_at timestamp(3) not null default current_timestamp(3),
	initial char(1) as (upper(left(name, 1))) virtual,
	unique key (public_id), unique key (mail), key by_city (city, name)
) comment 'People who ordered, or who at least looked';
create table wallets (
	customer bigint unsigned not null primary key,
	cents bigint not null comment 'All wallets together always hold the same',
	constraint owner foreign key (customer) references customers (id)
);
create table products (
	id int not null auto_increment primary key,
	sku varchar(20) not null,
	title varchar(100) not null,
	description text not null,
	price decimal(10,2) not null check (price > 0),
	gross decimal(10,2) as (round(price * 1.19, 2)) stored,
	attributes json not null,
	place point not null,
	picture mediumblob,
	unique key (sku), spatial key (place), fulltext key words (title, description)
);
create table orders (
	id bigint unsigned not null auto_increment primary key,
	customer bigint unsigned not null,
	status enum('new', 'paid', 'packed', 'shipped', 'returned', 'cancelled') not null default 'new',
	flags set('gift', 'express', 'fragile') not null default '',
	placed_at datetime(6) not null,
	note varchar(200),
	total decimal(12,2),
	key by_customer (customer), key by_status (status, placed_at),
	constraint buyer foreign key (customer) references customers (id)
);
create table order_items (
	order_id bigint unsigned not null,
	line smallint not null,
	product int not null,
	quantity int not null,
	price decimal(10,2) not null,
	primary key (order_id, line), key by_product (product),
	constraint of_order foreign key (order_id) references orders (id) on delete cascade,
	constraint of_product foreign key (product) references products (id)
);
create table audit (
	id bigint not null auto_increment,
	at datetime not null,
	who varchar(60) not null,
	what varchar(100) not null,
	`change` json not null,
	primary key (id, at)
) partition by range (year(at)) (
	partition y2025 values less than (2026), partition y2026 values less than (2027), partition later values less than maxvalue);

insert into customers (public_id, name, mail, city, newsletter, preferences, created_at)
select unhex(left(sha2(i, 256), 32)), concat(elt(1 + i % 8, 'Anna', 'Björn', 'Chloé', 'Eva', 'Hana', 'Jürgen', 'Łukasz', '花子'), ' ', elt(1 + i * 31 % 6, 'Meyer', 'O''Neil', 'García', 'Novák', 'Yılmaz', 'Rossi')),
	concat('customer', i, '@example.net'), elt(1 + i % 6, 'Berlin', 'Lyon', 'Köln', 'Kraków', 'Århus', 'Gent'), i % 2,
	json_object('language', elt(1 + i % 3, 'de', 'fr', 'en'), 'sizes', json_array(i % 50, i % 13)), '2025-01-01' + interval i * 7 minute
from numbers where i <= 40000 div @part;
insert into wallets select id, 10000 from customers;
insert into products (sku, title, description, price, attributes, place, picture)
select concat('SKU-', lpad(i, 6, '0')), concat(elt(1 + i % 5, 'Blue', 'Quiet', 'Heavy', 'Tiny', 'Bright'), ' ', elt(1 + i % 4, 'lamp', 'chair', 'teapot', 'bicycle'), ' ', i),
	repeat(concat('Made of ', elt(1 + i % 3, 'oak', 'steel', 'wool'), ', "safe", 100% washable.\n'), 1 + i % 5), 1 + i % 300 + 0.99,
	json_object('weight', i % 900, 'stock', json_object('a', i % 17)), point(i % 180, i % 90), if(i <= 40, unhex(repeat(sha2(i, 256), 1500)), null)
from numbers where i <= 4000 div @part;
insert into orders (id, customer, status, flags, placed_at, note)
select i, 1 + i * 7919 % (20000 div @part), 1 + i % 6, i % 8, '2025-10-01' + interval i * 93 second + interval i * 7919 % 1000000 microsecond,
	if(i % 3 = 0, concat('Please leave it at door ', i % 40, '.\tThanks \\ merci, ', left(sha2(i, 256), 32)), null)
from numbers where i <= 100000 div @part;
insert into order_items select i, l.n, 1 + (i * 3 + l.n) % (4000 div @part), 1 + i % 9, 1 + i % 400 + 0.99 from numbers, digits l where i <= 100000 div @part and l.n between 1 and 2;
update orders o join (select order_id, sum(quantity * price) as total from order_items group by order_id) s on s.order_id = o.id set o.total = s.total where o.id % 5 = 0;
insert into audit (at, who, what, `change`)
select '2025-12-01' + interval i * 80 second, 'shop_app@%', elt(1 + i % 4, 'login', 'order', 'price change', 'export'),
	json_object('id', i, 'ip', concat('10.', i % 256, '.7.7'), 'agent', concat('Browser/', i % 90), 'trace', left(sha2(i, 256), 32))
from numbers where i <= 80000 div @part;
drop table numbers;
drop temporary table digits;

create view open_orders as select o.id, o.placed_at, c.name from orders o join customers c on c.id = o.customer where o.status in ('new', 'paid');
create view waiting as select name, count(*) as orders from open_orders group by name;
create function order_total(wanted bigint unsigned) returns decimal(12,2) reads sql data
	return (select sum(quantity * price) from order_items where order_id = wanted);
delimiter //
create procedure pay(in giver bigint unsigned, in taker bigint unsigned, in sum_cents bigint)
begin
	start transaction;
	update wallets set cents = cents - sum_cents where customer = giver;
	update wallets set cents = cents + sum_cents where customer = taker;
	commit;
end//
create trigger orders_audit after update on orders for each row
begin
	if not old.status <=> new.status then
		insert into audit (at, who, what, `change`) values (now(), current_user(), 'status', json_object('id', new.id, 'old', old.status, 'new', new.status));
	end if;
end//
create event forget_audit on schedule every 1 day starts '2030-01-01 03:00:00' do delete from audit where at < now() - interval 10 year//
delimiter ;

create role shop_reader;
grant select on shop.* to shop_reader;
create user shop_app@'%' identified by 'demo';
grant select, insert, update, delete, execute on shop.* to shop_app@'%';
grant shop_reader to shop_app@'%';
