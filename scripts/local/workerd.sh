#!/bin/sh
# Runs workerd in its own place and writes down its process id for the lifeline (lifeline.ts).
# SIGINT and SIGTERM sent to the whole process group are left to the server, which ends workerd.
trap '' INT TERM HUP
echo "$$" > "$FOREMAN_WORKERD_PID"
exec "$FOREMAN_WORKERD" "$@"
