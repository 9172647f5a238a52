function calc(items, customer, country, coupon) {
  let total = 0;
  for (let i = 0; i < items.length; i++) {
    if (items[i]) {
      if (items[i].qty > 0) {
        if (items[i].type === "book") {
          if (country === "DE" || country === "AT") {
            if (customer && customer.vip) {
              total += items[i].price * items[i].qty * 1.07 * 0.9;
            } else {
              total += items[i].price * items[i].qty * 1.07;
            }
          } else if (country === "CH") {
            total += items[i].price * items[i].qty * 1.026;
          } else {
            total += items[i].price * items[i].qty;
          }
        } else if (items[i].type === "food") {
          if (country === "DE" || country === "AT") {
            total += items[i].price * items[i].qty * (country === "DE" ? 1.07 : 1.1);
          } else {
            total += items[i].price * items[i].qty;
          }
        } else {
          if (country === "DE") {
            if (customer && customer.vip && coupon && coupon.active) {
              total += items[i].price * items[i].qty * 1.19 * 0.8;
            } else if (customer && customer.vip) {
              total += items[i].price * items[i].qty * 1.19 * 0.9;
            } else {
              total += items[i].price * items[i].qty * 1.19;
            }
          } else {
            switch (country) {
              case "AT":
                total += items[i].price * items[i].qty * 1.2;
                break;
              case "CH":
                total += items[i].price * items[i].qty * 1.081;
                break;
              default:
                total += items[i].price * items[i].qty;
            }
          }
        }
      }
    }
  }
  if (coupon && coupon.active && !(customer && customer.vip)) {
    total = coupon.kind === "percent" ? total * (1 - coupon.value / 100) : Math.max(0, total - coupon.value);
  }
  return Math.round(total * 100) / 100;
}

module.exports = { calc };
