"""How errors look that tell of a database out of reach, of memory that ran out, and of an upstream that fails.

Taken from the messages that PostgreSQL, MySQL and Oracle and their drivers, connection pools (SQLAlchemy, HikariCP,
Sequelize, Prisma), runtimes (JVM, V8, CPython, PHP, Ruby, Go, C++) and HTTP clients and breakers (requests, Envoy,
resilience4j, Polly) document or print.
"""

from __future__ import annotations

import re

DATABASE = re.compile(
    r"too many (clients|connections)|remaining connection slots|connection slots are reserved"
    r"|QueuePool limit|TimeoutError: .*\bpool\b|connection pool (exhausted|is full|timed? ?out)"
    r"|PoolTimeout|PoolExhausted|Hikari\S* ?- ?Connection is not available|CannotGetJdbcConnection"
    r"|CannotCreateTransactionException|Timeout acquiring a connection|SequelizeConnection\w*Error|\bP2024\b|\bP1001\b"
    r"|connection to server at .* failed|could not connect to server|server closed the connection unexpectedly"
    r"|ECONNREFUSED\S* ?\S*:(5432|3306|6432|1433|1521)|Can't connect to (local )?(MySQL|MariaDB)"
    r"|MySQL server has gone away|Lost connection to MySQL|ORA-12(5\d\d|1\d\d)"
    r"|the database system is (starting up|shutting down)"
    r"|(psycopg\d?|asyncpg|mysql|pymysql|MySQLdb|oracledb)\S*\.(InterfaceError|TooManyConnections\w*)",
    re.IGNORECASE,
)
MEMORY = re.compile(
    r"OutOfMemory(Error|Exception)|Java heap space|GC overhead limit|heap out of memory|^MemoryError\b"
    r"|Cannot allocate memory|\bENOMEM\b|std::bad_alloc|Allowed memory size of|NoMemoryError|runtime: out of memory"
    r"|OOMKilled",
    re.IGNORECASE,
)
UPSTREAM = re.compile(
    r"\b5(00|02|03|04|2\d)\b[ :,-]*(Server Error|Internal Server Error|Bad Gateway|Service (Temporarily )?Unavailable"
    r"|Gateway Time-?out)|(status|status[ _]?code|HTTP(/\d(\.\d)?)?|response)\W{0,3}5\d\d\b"
    r"|BadGateway|ServiceUnavailable|GatewayTimeout|InternalServerErrorException|no healthy upstream"
    r"|upstream (connect error|request timeout)|CallNotPermittedException|circuit ?breaker\W.{0,60}\bopen\b"
    r"|BrokenCircuitException",
    re.IGNORECASE,
)
