echo "preparing $YEAR"
