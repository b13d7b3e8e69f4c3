-- One of everything, as all of MariaDB 10.11, 11.8 and MySQL 9.7 know it.
set names utf8mb4;
set sql_mode = '';
create table `all types` (
    id bigint unsigned not null auto_increment primary key,
    i1 tinyint, i2 smallint unsigned, i3 mediumint, i4 int unsigned zerofill, i8 bigint,
    d decimal(65,30), f float, g double, b1 bit(1), b64 bit(64),
    c char(5) character set latin1, v varchar(200), t text character set latin1, vb varbinary(50), bl longblob,
    e enum('', 'a', '2', 'b,c'), s set('x', 'y', 'z'), y year, da date, dt datetime(6), ti time(6), ts timestamp(6) null,
    j json, p point, ge geometry
) comment 'it''s "one" \\ of\nall';
insert into `all types` values
    (1, -128, 65535, -8388608, 42, -9223372036854775808, -99999999999999999999999999999999999.999999999999999999999999999999, 16777216, 1.7976931348623157e308, b'1', b'1111111111111111111111111111111111111111111111111111111111111111',
     'abc', '€😀 \\N', 'x', x'005c0a0d1a09', x'00ff', '2', 'x,z', 2155, '9999-12-31', '9999-12-31 23:59:59.999999', '838:59:59.999999', '2038-01-19 03:14:07.999999', '{"a": 1.5, "b": [18446744073709551615, null, "\\n"]}', st_geomfromtext('point(1.5 -2)'), st_geomfromtext('polygon((0 0,0 1,1 1,0 0))')),
    (2, 127, 0, 8388607, 0, 9223372036854775807, 0.000000000000000000000000000001, -0.0, 2.2250738585072014e-308, b'0', b'0',
     '', '\\', '\t\n\r\0', '', '', 'a', '', 1901, '0000-00-00', '0000-00-00 00:00:00', '-838:59:59', '2026-03-29 01:30:00', '[]', null, null),
    (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
    (4, 0, 1, 2, 3, 4, 5, 123456.789, -1e-300, null, x'80', 'é', 'N', '\\N', 'N', repeat('z', 100000), 'b,c', 'x,y,z', 0, '2026-01-00', '1000-01-01', '00:00:00.000001', '1970-01-01 00:00:01', 'null', null, st_geomfromtext('linestring(0 0,1 1)'));
insert into `all types` (id, t) values (5, x'e9ff00'), (18446744073709551000, 'last');
insert into `all types` (id, e) values (6, 'not a member');
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
create table parent (id int primary key auto_increment, name varchar(50) not null, unique key (name), key by_prefix (name(3) desc));
insert into parent values (0, 'zero'), (10, 'ten'), (11, 'eleven');
create table child (
    a int not null, b varchar(20) collate utf8mb4_bin not null, parent_id int, self int, note varchar(100) default (concat('n', 'ote')),
    twice int as (a * 2) stored, thrice int as (a * 3) virtual, at datetime default current_timestamp on update current_timestamp,
    primary key (a, b), key (twice), unique key once (b, a), fulltext key words (note),
    constraint to_parent foreign key (parent_id) references parent (id) on delete set null on update cascade,
    constraint to_self foreign key (self, b) references child (a, b), constraint positive check (a > 0)
) engine = InnoDB row_format = dynamic comment 'child';
insert into child (a, b, parent_id) select a.n * 10 + b.n + 1, concat('row ', b.n), 10
    from (select 0 n union select 1 union select 2 union select 3 union select 4 union select 5 union select 6 union select 7 union select 8 union select 9) a,
         (select 0 n union select 1 union select 2 union select 3 union select 4 union select 5 union select 6 union select 7 union select 8 union select 9) b;
create table `odd ``name``/.#%é` (`select` int, `a``b` text, `c\td` int, key `k ``1` (`select`));
insert into `odd ``name``/.#%é` values (1, 'x', 2), (null, null, null);
create table no_key (a int, b varchar(10));
insert into no_key values (1, 'a'), (1, 'a'), (null, null);
create table empty_one (id int primary key);
create table `Case` (id int primary key);
create table pieces (id int not null, at date not null, primary key (id, at))
    partition by range (year(at)) (partition p0 values less than (2025), partition p1 values less than maxvalue);
insert into pieces values (1, '2020-01-01'), (2, '2026-01-01');
create table flat (id int primary key, t text) engine = MyISAM;
insert into flat values (1, 'one'), (2, null);
create view first_view as select p.id, p.name, count(c.a) as children from parent p left join child c on c.parent_id = p.id group by p.id, p.name;
create function a_function(n int) returns int deterministic return n + 1;
create view a_view_on_a_view as select name, a_function(children) as n from first_view;
delimiter //
create procedure a_procedure(in n int, out m int) comment 'it''s' sql security invoker begin declare x varchar(10) default ';//'; set m = n + 1; end//
create trigger before_parent before insert on parent for each row begin set new.name = trim(new.name); end//
create trigger second_before_parent before insert on parent for each row follows before_parent set new.name = lower(new.name)//
create trigger after_child after delete on child for each row insert into no_key values (old.a, 'gone')//
create event every_night on schedule every 1 day starts '2030-01-01 02:00:00' disable comment 'ev' do delete from no_key where a is null//
delimiter ;
