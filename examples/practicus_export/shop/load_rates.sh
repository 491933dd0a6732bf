echo "rates are loaded"
